"""Following a log file that logrotate(8) renames, truncates or replaces, over restarts of ours too."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import BinaryIO, List, Mapping, Optional, Tuple

STILL_WRITTEN = 60.0
"""Seconds for which a renamed file is read on: nginx's workers write there until they are told to open the new one."""
MOST = 8 << 20
"""Bytes that are read at a time."""


class _Open:
    """A file as far as it has been read; `rest` is the line that has not ended yet."""

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self.file, self.rest = file, b""
        file.seek(offset)

    @property
    def inode(self) -> int:
        return os.fstat(self.file.fileno()).st_ino

    @property
    def offset(self) -> int:
        """Where the first line begins that has not been read whole."""
        return self.file.tell() - len(self.rest)

    def lines(self) -> List[bytes]:
        if os.fstat(self.file.fileno()).st_size < self.file.tell():
            self.file.seek(0)
            self.rest = b""
        *lines, self.rest = (self.rest + self.file.read(MOST)).split(b"\n")
        return lines


class Follower:
    """Reads whole lines. `kept`: what `position` said before a restart; without it, only what comes from now on."""

    def __init__(self, path: Path, kept: Optional[Mapping[str, int]] = None) -> None:
        self._path = path
        self._old: List[Tuple[_Open, float]] = []
        self._current: Optional[_Open] = None
        inode, offset = (kept or {}).get("inode"), (kept or {}).get("offset", 0)
        for candidate in (path, path.with_name(f"{path.name}.1")) if kept else ():
            file = _opened(candidate)
            if file and os.fstat(file.fileno()).st_ino == inode:
                self._current = _Open(file, min(offset, os.fstat(file.fileno()).st_size))
                return
            if file:
                file.close()
        if not kept:
            file = _opened(path)
            self._current = _Open(file, file.seek(0, os.SEEK_END)) if file else None

    def close(self) -> None:
        """Read no more."""
        for each in [*(file for file, _ in self._old), self._current]:
            if each:
                each.file.close()

    @property
    def position(self) -> Optional[Mapping[str, int]]:
        """Where to go on after a restart; None before the file is there."""
        return {"inode": self._current.inode, "offset": self._current.offset} if self._current else None

    def lines(self) -> List[bytes]:
        """What has been written since the last call."""
        found = []
        for each, until in list(self._old):
            found += each.lines()
            if time.monotonic() > until:
                each.file.close()
                self._old.remove((each, until))
        if self._current:
            found += self._current.lines()
        file = _opened(self._path) if self._moved() else None
        if file:
            if self._current:
                self._old.append((self._current, time.monotonic() + STILL_WRITTEN))
            self._current = _Open(file, 0)
            found += self._current.lines()
        return found

    def _moved(self) -> bool:
        try:
            return self._current is None or self._path.stat().st_ino != self._current.inode
        except OSError:
            return False


def _opened(path: Path) -> Optional[BinaryIO]:
    try:
        return path.open("rb")
    except OSError:
        return None
