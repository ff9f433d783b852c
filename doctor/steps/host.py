"""The host itself, once the registry has given everything: its clock, and room for the image."""

from __future__ import annotations

import json
import os
import re
from typing import List

from doctor.finding import Seen
from doctor.walk import Walk
from hostctl import docker_api
from hostctl.errors import HostError
from hostctl.host import Host

OFF = 60.0
"""Seconds: who signs tokens and who takes them allow each other about that much (distribution's leeway is 60 s)."""
ROOM = 64 << 20
"""Bytes that an image takes at least, with what the runtime writes besides."""
UNPACKED = 2
"""How often the bytes of an image's layers must fit: packed while it comes, then unpacked."""
INODES = 100
CONTAINERD = "/var/lib/containerd"


def look(walk: Walk) -> Seen:
    """Look at the clock, then at the disk."""
    if abs(walk.skew) > OFF:
        ahead = "ahead of" if walk.skew > 0 else "behind"
        said = f"this host's clock is {abs(walk.skew):.0f} s {ahead} the controller's"
        return walk.broken("host", "clock-skew", said, "the clock")
    needed = max(ROOM, UNPACKED * _size(walk))
    told = []
    for folder in folders(walk.host, walk.pull.runtime):
        try:
            disk = os.statvfs(walk.host.path(folder))
        except OSError:
            continue
        free = disk.f_bavail * disk.f_frsize
        told.append(f"{folder}: {free >> 20} MB free")
        if free < needed:
            evidence = f"{folder}: {free >> 20} MB free of {disk.f_blocks * disk.f_frsize >> 20} MB"
            return _full(walk, folder, f"{evidence}, {needed >> 20} MB are needed")
        if disk.f_files and disk.f_favail < INODES:
            return _full(walk, folder, f"{folder}: {disk.f_favail} inodes free of {disk.f_files}")
    return walk.ok("host", f"{', '.join(told)}; the clock is right")


def _full(walk: Walk, folder: str, evidence: str) -> Seen:
    prune = "docker system prune --all --force" if walk.pull.runtime == "docker" else "crictl rmi --prune"
    return walk.broken("host", "disk-full", evidence, folder, folder=folder, prune=prune)


def folders(host: Host, runtime: str) -> List[str]:
    """Where the runtime keeps images on this host."""
    if runtime == "containerd":
        return [_containerd(host)]
    try:
        info = docker_api.get(host, "/info")
    except HostError:
        return ["/var/lib/docker"]
    of_containerd = any("io.containerd" in str(pair[-1]) for pair in info.get("DriverStatus") or [])
    return [str(info["DockerRootDir"]), *([_containerd(host)] if of_containerd else [])]


def _containerd(host: Host) -> str:
    state = host.read("/etc/containerd/config.toml")
    root = re.search(rb"""(?m)^\s*root\s*=\s*["']([^"'\n]+)["']""", state.content) if state else None
    return root[1].decode() if root else CONTAINERD


def _size(walk: Walk) -> int:
    """The bytes of the image's layers, packed."""
    layers = json.loads(walk.manifest).get("layers", []) if walk.manifest else []
    return sum(int(each["size"]) for each in layers)
