"""Prometheus' own checker that the tests run: this machine's, or the one of the lab hosts' Debian."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

from lab import hostimage


@cache
def promtool() -> str:
    """The program's path."""
    return shutil.which("promtool") or str(hostimage.program("promtool", "usr/bin"))


def accepted(*arguments: str, folder: Path, stdin: str | None = None) -> str:
    """What it prints; a complaint fails the test."""
    done = subprocess.run(
        [promtool(), *arguments],
        cwd=folder,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
