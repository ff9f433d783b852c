"""How far a long copy is, told now and then."""

from __future__ import annotations

import time
from typing import IO

EVERY = 10.0
"""Seconds between two lines."""


class Progress:
    """Counts bytes of a whole; a copy that is over sooner than `EVERY` tells nothing."""

    def __init__(self, name: str, total: int, *, every: float = EVERY) -> None:
        self._name, self._total, self._every = name, total, every
        self._done, self._told = 0, time.monotonic()

    def add(self, size: int) -> None:
        """So much more is done."""
        self._done += size
        if time.monotonic() - self._told >= self._every:
            self._told = time.monotonic()
            share = 100 * self._done // max(self._total, 1)
            print(f"{self._name}: {self._done} of {self._total} bytes ({min(share, 100)} %)", flush=True)


class Counted:
    """A stream that is read, with its progress."""

    def __init__(self, stream: IO[bytes], progress: Progress) -> None:
        self._stream, self._progress = stream, progress

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        part = self._stream.read(size)
        self._progress.add(len(part))
        return part
