"""On what was measured."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from bench.hosts import BenchError, on
from bench.places import HOST
from bench.running import IMAGE


def machine() -> dict[str, str]:
    """The facts without which no figure means anything. Raises BenchError where the stack is not up."""
    if on(HOST, f"docker images --quiet {IMAGE}").strip() == "":
        raise BenchError(f"{HOST} has no image {IMAGE}, so the stack is not up; bring it up with: make up")
    model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "cores": str(os.cpu_count()),
        "CPU": model.partition(":")[2].strip(),
        "memory": f"{int(memory.split()[1]) / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "nginx": on(HOST, "nginx -v 2>&1").strip().rpartition("/")[2],
        "registry": on(HOST, f"docker run --rm {IMAGE} --version").split()[-1],
        "load before": f"{os.getloadavg()[0]:.2f}",
    }
