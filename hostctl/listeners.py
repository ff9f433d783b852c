"""Which processes listen on a TCP port, read from /proc (proc(5)), without the `ss` program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Set

from hostctl.errors import HostError
from hostctl.systemd import Service

LISTENING = "0A"
TRIES = 3
"""A socket may be closed between the look at the sockets and the one at the processes."""


@dataclass(frozen=True)
class Process:
    """A process: its id, its parent's id, its name."""

    pid: int
    parent: int
    name: str


def listeners(port: int) -> List[Process]:
    """The processes that listen on the port, on whichever address; pid 0 where the kernel does not tell."""
    for _ in range(TRIES):
        wanted = set(_sockets(port))
        if not wanted:
            return []
        found = [process for process in map(_process, _pids()) if wanted & _sockets_of(process.pid)]
        if found:
            return found
    return [Process(0, 0, "a process that /proc does not show")]


def refuse_taken(port: int, service: Service, remedy: str) -> None:
    """Raise HostError where somebody else than the service listens on the port."""
    for process in listeners(port):
        if not service.runs or service.pid not in (process.pid, process.parent):
            raise HostError(
                f"port {port}: {process.name} (pid {process.pid}) listens there, which is not the service "
                f"{service.name}; stop it, or {remedy}"
            )


def _sockets(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rsplit(":", 1)[1], 16) == port:
                yield f"socket:[{fields[9]}]"


def _pids() -> List[int]:
    return sorted(int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit())


def _sockets_of(pid: int) -> Set[str]:
    links = set()
    try:
        for each in Path(f"/proc/{pid}/fd").iterdir():
            links.add(str(each.readlink()))
    except OSError:
        pass  # it has ended meanwhile
    return links


def _process(pid: int) -> Process:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return Process(pid, 0, "")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return Process(pid, int(fields.get("PPid", "0")), fields.get("Name", ""))
