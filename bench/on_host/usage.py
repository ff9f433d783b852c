"""What the programs of a registry's host use: a line of JSON. Memory is Pss: what several share counts once."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

UNITS = {
    "nginx.service": "nginx",
    "http-registry-origin.service": "origin",
    "http-registry-pulls.service": "pull-metrics",
    "docker.service": "dockerd",
}


def of(pid: int) -> tuple[int, int]:
    """Bytes of memory, and open files, of a process. Raises OSError where it has ended."""
    memory = re.findall(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return sum(map(int, memory)) * 1024, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def names() -> dict[int, str]:
    """Which program a process belongs to, by its pid."""
    listed = ["docker", "ps", "--quiet", "--filter", "name=http-registry-"]
    ids = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    found = {}
    for process in Path("/proc").iterdir():
        try:
            group = (process / "cgroup").read_text() if process.name.isdigit() else ""
        except OSError:
            continue
        unit = next((name for unit, name in UNITS.items() if f"/{unit}" in group), "")
        if unit or any(each in group for each in ids):
            found[int(process.name)] = unit or "registry"
    return found


used: dict[str, dict[str, int]] = {}
for pid, name in names().items():
    try:
        memory, files = of(pid)
    except OSError:
        continue
    known = used.setdefault(name, {"memory": 0, "files": 0})
    known["memory"] += memory
    known["files"] += files
disk = os.statvfs("/var")
print(json.dumps({"programs": used, "disk": (disk.f_blocks - disk.f_bfree) * disk.f_frsize}))
