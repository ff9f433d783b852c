"""The step `tls`."""

from __future__ import annotations

from doctor.finding import OK, Seen
from doctor.walk import Walk


def look(walk: Walk) -> Seen:
    """To come."""
    return Seen("tls", OK, walk.endpoint.url)
