"""The lock of a pulumi that was killed on this machine: found, and cleared once it is sure that the process is dead.

A folder's locks are files: <backend>/.pulumi/locks/organization/<project>/<stack>/<uuid>.json with pid and hostname
(pulumi, pkg/backend/diy/lock.go). Of the locks in a bucket or a database pulumi itself tells, as the error of a command
that would take one.
"""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

from ops.checkpoint import PROJECT_NAME, local_folder
from ops.stack import Stack

SHARED = ("s3", "gs", "azblob", "postgres")
"""Backends with locks that are not files of this machine."""
LOCKED = "the stack is currently locked by"
HOLDER = re.compile(r"created by \S+@(?P<host>\S+) \(pid (?P<pid>\d+)\)")


class Locks:
    """The locks of a stack: those of dead processes, which `clear` takes away, and `held`: what pulumi says of others.

    `suspect`: whether the state looks as if somebody was, or is, at work. A bucket's locks are asked for only then, or
    where a pulumi that this checkout has started is dead: nothing else costs a `make up` no time.
    """

    def __init__(self, stack: Stack, *, suspect: bool) -> None:
        self.stack = stack
        self.held = ""
        self._dead: list[Path] = []
        self._shared = False
        if urlsplit(stack.backend).scheme in SHARED:
            self._ask(suspect)
        else:
            self._read()

    @property
    def dead(self) -> bool:
        """Whether there are any of dead processes."""
        return bool(self._dead) or self._shared

    def clear(self) -> None:
        """Take those of dead processes away."""
        if self.dead:
            print(f"The process that held {self.stack.name}'s lock is dead: clearing the lock.", flush=True)
        for each in self._dead:
            each.unlink()
        if self._shared:
            self.stack.pulumi("cancel", "--yes", quiet=True)

    def _read(self) -> None:
        folder = local_folder(self.stack.backend)
        files = (folder / "locks" / "organization" / PROJECT_NAME / self.stack.name).glob("*.json") if folder else []
        for lock in files:
            try:
                content = json.loads(lock.read_text())
                host, pid = content["hostname"], int(content["pid"])
            except (ValueError, KeyError):
                self._dead.append(lock)  # its process was killed while it wrote this
                continue
            if _is_dead(host, pid):
                self._dead.append(lock)
            else:
                self.held = f"{LOCKED} pid {pid} on {host}; wait for it, or 'pulumi cancel' once you know it is dead"

    def _ask(self, suspect: bool) -> None:
        """A host's name and a process's number alone say little of a lock that others can take too, such as CI's
        containers; so a dead one must be of a pulumi that this checkout has started.

        Making the stack takes the lock first and then finds that the stack is there.
        """
        here, started = socket.gethostname(), self.stack.started()
        ours = started is not None and _is_dead(here, started)
        said = self.stack.refused("stack", "init", "--no-select") if suspect or ours else ""
        if LOCKED in said:
            holders = [(found["host"], int(found["pid"])) for found in HOLDER.finditer(said)]
            self._shared = ours and bool(holders) and all(each == (here, started) for each in holders)
            self.held = "" if self._shared else said.strip().removeprefix("error: ")


def _is_dead(hostname: str, pid: int) -> bool:
    if hostname != socket.gethostname():
        return False
    command = Path(f"/proc/{pid}/comm")
    return not command.exists() or command.read_text().strip() != "pulumi"
