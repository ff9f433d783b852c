"""What the status page needs. Works on the raw data, as settings/contradictions.py does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from settings.pieces import Pieces
from settings.tier import asks_readers


def status_page_contradictions(data: Mapping[str, Any]) -> Iterator[str]:
    """A line where the page has no endpoint that asks for passwords."""
    metrics = data.get("metrics")
    if not isinstance(metrics, Mapping) or metrics.get("status_page") is not True:
        return
    pieces = Pieces(data)
    known = {each.name: each for _, each in pieces.registries}
    for _, each in pieces.endpoints:
        # Of a registry that is wrong itself, which is told elsewhere, this much is known.
        if asks_readers(each, known[each.registry]) if each.registry in known else not each.anonymous_pull:
            return
    yield (
        "metrics.status_page = True: the page is shown to the proxy's users only, and no endpoint asks a reader for a "
        "password; add one before a hosted registry without token and anonymous_pull, or login: true at a cache's, or "
        "remove this"
    )
