"""Progress lines with the seconds since the start."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

START = time.monotonic()
BEAT = 15.0
"""A long step says every so many seconds that it is still at work."""


def say(text: str) -> None:
    """Print one progress line."""
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Announce a long step, repeat that it is still running, and say how long it took."""
    began = time.monotonic()
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            say(f"{text}: still at it after {time.monotonic() - began:.0f} s")

    say(f"{text} …")
    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
    say(f"{text}: done in {time.monotonic() - began:.1f} s")
