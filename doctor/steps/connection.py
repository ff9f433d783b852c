"""The step `connection`."""

from __future__ import annotations

from doctor.finding import OK, Seen
from doctor.walk import Walk


def look(walk: Walk) -> Seen:
    """To come."""
    return Seen("connection", OK, walk.endpoint.url)
