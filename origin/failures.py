"""What can go wrong with a request, as the client is told it. No text holds a secret or a query string."""

from __future__ import annotations

from typing import Mapping, Optional


class Failure(Exception):
    """The request is answered with `status`; `reason` is for the answer and the log, `headers` go with it."""

    def __init__(self, status: int, reason: str, headers: Optional[Mapping[str, str]] = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}


class NoAnswer(Failure):
    """A server gave none. `reached` is whether it could be connected to and was only too slow."""

    def __init__(self, status: int, reason: str, reached: bool = False) -> None:
        super().__init__(status, reason)
        self.reached = reached


class BrokenOff(Exception):
    """A body ended before its length. What was passed on of it must not be taken for the whole."""
