"""A control group counts the processor time of all that is started in it, also of what has left its parent."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from lab import cgroups

PAUSE = 0.25
"""Seconds between two looks at the memory."""
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Group:
    """One of them, by its folder."""

    folder: Path

    def entering(self, command: Sequence[str]) -> list[str]:
        """The command, in the group from its start."""
        return ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs && exec "$@"', "sh", *command]

    def seconds(self) -> float:
        """Processor time since the group was made."""
        one = self.folder / "cpuacct.usage"
        if one.exists():
            return int(one.read_text()) / 1e9
        values = dict(line.split() for line in (self.folder / "cpu.stat").read_text().splitlines())
        return int(values["usage_usec"]) / 1e6

    def processes(self) -> list[int]:
        """Their numbers."""
        return [int(each) for each in (self.folder / "cgroup.procs").read_text().split()]

    def end(self) -> None:
        """End all that runs in it."""
        while found := self.processes():
            for each in found:
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            time.sleep(0.05)


@dataclass
class Peaks:
    """Resident memory in bytes, shared pages counted in each process that has them: of all at once, of the largest."""

    whole: int = 0
    largest: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def look(self, group: Group) -> None:
        """Look again and again until it is over."""
        while not self.over.wait(PAUSE):
            sizes = [_resident(each) for each in group.processes()]
            self.whole = max(self.whole, sum(sizes))
            self.largest = max(self.largest, *sizes, 0)


@contextmanager
def group(name: str) -> Iterator[Group]:
    """A new one; what is still in it at the end is ended."""
    roots = cgroups.hierarchies()
    made = Group(next((each for each in roots if each.name == "cpuacct"), roots[0]) / name)
    made.folder.mkdir(exist_ok=True)
    made.end()
    try:
        yield made
    finally:
        made.end()
        made.folder.rmdir()


@contextmanager
def peaks(of: Group) -> Iterator[Peaks]:
    """How much memory it has at most meanwhile."""
    found = Peaks()
    looking = threading.Thread(target=found.look, args=(of,))
    looking.start()
    try:
        yield found
    finally:
        found.over.set()
        looking.join()


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0
