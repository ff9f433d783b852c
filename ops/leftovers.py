"""Processes that outlive a killed `pulumi up`: its plugins, which finish what they are at, and its language host."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ops.stack import Stack, StackError

PROGRAM = re.compile(r"pulumi-language-\w+|(?:pulumi-|plugins/)resource-\w+")
PATIENCE = 300.0
"""Seconds that a plugin has to finish a call; a host's longest step, a runtime's restart, takes two minutes at most."""


@dataclass(frozen=True)
class Leftover:
    """A process whose pulumi is dead."""

    pid: int
    program: str


def wait_for_leftovers(stack: Stack) -> None:
    """Return when no process of a dead pulumi works on this stack's backend any more.

    Plugins end by themselves once their call is done; the language host, which does nothing any more, is ended.
    Raises StackError where one does not end.
    """
    deadline = time.monotonic() + PATIENCE
    said = False
    while found := list(_leftovers(stack.backend)):
        for each in found:
            if "language" in each.program:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGTERM)
            elif not said:
                print(f"Waiting for {each.program} (pid {each.pid}) to finish what it had begun.", flush=True)
                said = True
        if time.monotonic() > deadline:
            names = ", ".join(f"{each.program} (pid {each.pid})" for each in found)
            raise StackError(f"still at work for a pulumi that is dead: {names}; end it and try again")
        time.sleep(0.1)


def _leftovers(backend: str) -> Iterator[Leftover]:
    wanted = f"PULUMI_BACKEND_URL={backend}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            program = PROGRAM.search((folder / "cmdline").read_bytes().decode(errors="replace"))
            if program is None or wanted not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            parent = re.search(r"^PPid:\s*(\d+)", (folder / "status").read_text(), re.MULTILINE)
            if parent and _command(int(parent[1])) != "pulumi":
                yield Leftover(int(folder.name), program[0].rpartition("/")[2])
        except (OSError, ProcessLookupError):
            continue


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
