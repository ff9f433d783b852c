"""What the status page needs. Works on the raw data, as settings/contradictions.py does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from settings.pieces import Pieces
from settings.registries import CacheRegistry


def status_page_contradictions(data: Mapping[str, Any]) -> Iterator[str]:
    """A line where the page has no endpoint that asks for passwords."""
    metrics = data.get("metrics")
    if not isinstance(metrics, Mapping) or metrics.get("status_page") is not True:
        return
    pieces = Pieces(data)
    caches = {each.name for _, each in pieces.registries if isinstance(each, CacheRegistry)}
    tokens = {each.name for _, each in pieces.registries if getattr(each, "token", None)}
    for _, each in pieces.endpoints:
        if each.login if each.registry in caches else each.registry not in tokens and not each.anonymous_pull:
            return
    yield (
        "metrics.status_page = True: the page is shown to the proxy's users only, and no endpoint asks a reader for a "
        "password; add one before a hosted registry without token and anonymous_pull, or login: true at a cache's, or "
        "remove this"
    )
