"""One process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def locked(file: Path, what: str, out: TextIO) -> Iterator[None]:
    """Hold the lock `file`, waiting for it if need be. It ends with the process, however that ends."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process: {what} ...", file=out, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
