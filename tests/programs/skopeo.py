"""The skopeo that the tests run: this machine's, of the lab hosts' Debian; installed where it is missing."""

from __future__ import annotations

from functools import cache

from lab import packages


@cache
def ensure_skopeo() -> None:
    """Have it on PATH."""
    packages.need({"skopeo": "skopeo"})
