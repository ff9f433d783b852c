"""Requests in the order in which they were asked.

nginx's workers write side by side, each when it gets to it: on a busy machine 57 of 12,000 GETs of a manifest stood
before the HEAD that they had followed, which then looked like another pull. Their times are right.
"""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

from pull_metrics.access_log import Request, parsed

Line = Tuple[bytes, Request]
"""As it was written, and what it says."""


class InOrder:
    """What one reading of the log gave is held until the next, a second later, so that what stands behind it too late
    can go before it. `data`: what `as_data` said before a restart."""

    def __init__(self, data: Sequence[Any] = ()) -> None:
        lines = [str(each).encode() for each in data]
        self._held: List[Line] = [(each, request) for each in lines for request in [parsed(each)] if request]

    def as_data(self) -> List[str]:
        """As JSON has it."""
        return [line.decode(errors="replace") for line, _ in self._held]

    def take(self, lines: Sequence[Line]) -> List[Request]:
        """Give what was held, and of `lines` what belongs before the last of it; hold the rest."""
        last = max((_order(each) for each in self._held), default=None)
        both = sorted([*self._held, *lines], key=_order)
        ready = 0 if last is None else sum(_order(each) <= last for each in both)
        self._held = both[ready:]
        return [request for _, request in both[:ready]]

    def until(self, now: float) -> float:
        """The time, in seconds since 1970, up to which all that was asked has been given."""
        return min([now, *(request.ended for _, request in self._held)])


def _order(line: Line) -> Tuple[float, float, bool]:
    """Of a millisecond's requests the HEAD is the first."""
    _, request = line
    return request.ended, request.began, request.method != "HEAD"
