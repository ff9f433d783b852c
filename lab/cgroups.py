"""The machine's control groups, version 1 or 2."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
NESTED = ("docker", "default", "k8s.io", "kubepods")
"""Where a host's own Docker and containerd put their containers: beside the machine's."""


def hierarchies() -> list[Path]:
    """Where cgroups are mounted: one place with version 2, one for each controller with version 1."""
    if (ROOT / "cgroup.procs").exists():
        return [ROOT]
    return sorted(path for path in ROOT.glob("*") if not path.is_symlink() and os.path.ismount(path))


def top() -> list[Path]:
    """The cgroups at the top of each hierarchy."""
    return [path for root in hierarchies() for path in root.glob("*") if path.is_dir()]


def sweep() -> None:
    """Remove what the hosts' own containers left."""
    for group in top():
        if group.name in NESTED:
            remove(group)


def remove(group: Path) -> None:
    """Remove a cgroup and those in it; the kernel keeps each one that still has a process."""
    for path in [*sorted((inner for inner in group.rglob("*") if inner.is_dir()), reverse=True), group]:
        try:
            path.rmdir()
        except OSError:
            continue
