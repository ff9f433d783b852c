"""Go's durations (`1m30s`, `500ms`), as the healthcheck inputs are written, and Docker's nanoseconds."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


def nanoseconds(text: str) -> int:
    """The duration's nanoseconds; a `ValueError` if it is none."""
    if text in ("", "0"):
        return 0
    if not re.fullmatch(rf"(?:{_PART.pattern})+", text):
        raise ValueError(f"{text!r} is no duration: write it like 1m30s, with the units ms, s, m, h")
    return round(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


def duration(nanos: int) -> str:
    """The duration in Go's form: `0s`, `500ms`, `1m30s`."""
    if nanos % 10**9:
        return f"{nanos / 10**6:g}ms" if nanos < 10**9 else f"{nanos / 10**9:g}s"
    seconds = nanos // 10**9
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours}h{minutes}m{seconds % 60}s"
    return f"{minutes}m{seconds % 60}s" if minutes else f"{seconds}s"
