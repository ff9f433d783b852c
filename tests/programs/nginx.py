"""The nginx that the tests run: this machine's, or the one of the lab hosts' Debian."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from lab import hostimage


@cache
def nginx() -> str:
    """The program's path."""
    return shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") or str(hostimage.program("nginx"))


@contextmanager
def running(config: Path, ask: Callable[[], object], environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """nginx with a configuration, in its folder, once `ask` raises no OSError any more (after 5 s all the same)."""
    folder = config.parent
    command = [nginx(), "-c", str(config), "-p", str(folder), "-e", f"{folder}/error.log"]
    process = subprocess.Popen(command, env={**os.environ, **(environment or {})})
    try:
        for _ in range(100):
            try:
                ask()
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)
