"""Room for what is pushed and cached: the file systems of the caches and the volumes; and pushes that are held off."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from doctor.finding import Finding
from doctor.server.served import Served, endpoints
from hostctl import docker_api
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.systemd import service
from hostctl.units.garbage_collection import gate
from hostctl.units.garbage_collection import service as collection

LEAST = 64 << 20
"""Bytes: less is full. A slice of the cache has 8 MiB, and several are on their way at once."""
HELD = 60.0
"""Seconds that a clean-up may hold pushes off."""
DATA = "/var/lib/registry"
"""Where the container has its images."""


def look(host: Host, served: Served) -> Iterator[Finding]:
    """Each file system once; then what holds pushes off."""
    used: Dict[str, List[Tuple[str, Path, str]]] = {}
    mounts = _mounts()
    for what, path, broken in _folders(host, served):
        used.setdefault(mount_of(path, mounts), []).append((what, path, broken))
    for mount, entries in used.items():
        path = entries[0][1]
        values = {
            "what": " and ".join(dict.fromkeys(what for what, _, _ in entries)),
            "endpoints": " ".join(dict.fromkeys(broken for _, _, broken in entries)),
            "mount": mount,
        }
        room = os.statvfs(path)
        free = room.f_bavail * room.f_frsize
        if room.f_flag & os.ST_RDONLY:
            yield Finding("read-only", str(path), f"{mount}: mounted ro", values)
        elif free < LEAST or (room.f_files and not room.f_favail):
            inodes = "" if room.f_favail or not room.f_files else ", no inode"
            evidence = f"{mount}: {free >> 20} MiB of {room.f_blocks * room.f_frsize >> 20} MiB left{inodes}"
            yield Finding("server-disk-full", str(path), evidence, values)
    for each in served["containers"]:
        yield from _held(host, each["registry"])


def _folders(host: Host, served: Served) -> Iterator[Tuple[str, Path, str]]:
    for each in served["folders"]:
        folder = host.path(each)
        for path in [folder, *sorted(folder.glob("*"))]:  # one of them may be a file system of its own
            if path.is_dir():
                yield "the cache", path, endpoints(served, nginx=True)
    if served["containers"] and service(host, "docker").runs:
        for each in served["containers"]:
            path_of = _volume(host, each["name"])
            if path_of:
                yield f"the volume of {each['registry']}", Path(path_of), endpoints(served, each["registry"])


def _volume(host: Host, container: str) -> str:
    """Where the images are on the host; empty where they are not."""
    try:
        mounts = docker_api.get(host, f"/containers/{container}/json")["Mounts"]
    except HostError:
        return ""
    return next((str(each["Source"]) for each in mounts if each["Destination"] == DATA), "")


def _mounts() -> List[str]:
    """Where something is mounted (proc(5), /proc/pid/mounts)."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), line.split()[1]) for line in lines]


def mount_of(path: Path, mounts: List[str]) -> str:
    """The file system that has a folder, by where it is mounted; a folder mounted over itself is one as well."""
    return next(str(each) for each in [path, *path.parents] if str(each) in mounts)


def _held(host: Host, registry: str) -> Iterator[Finding]:
    closed = host.path(gate(registry))
    if not closed.exists() or service(host, collection(registry).partition(".")[0]).active != "inactive":
        return
    since = closed.stat().st_mtime
    if time.time() - since > HELD:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(since))
        yield Finding(
            "pushes-held", str(closed), f"{closed}: there since {when}", {"registry": registry, "since": when}
        )
