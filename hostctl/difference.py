"""One thing of ours that somebody has changed: its key, what we wrote, what is there."""

from __future__ import annotations

from typing import Any, NamedTuple


class Difference(NamedTuple):
    """`wanted` and `found` are plain data; None for a key that is absent. They may hold secrets."""

    key: str
    wanted: Any
    found: Any
