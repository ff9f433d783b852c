"""Leaves doctor's findings on the proxy's host, for the status page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.stack import Stack
from settings.tier import Tier


def leave(stack: Stack, tier: Tier, document: Mapping[str, Any]) -> None:
    """Take the document of `make doctor JSON=1` there, where the tier has a status page. Never raises, never prints."""
    del stack, tier, document
