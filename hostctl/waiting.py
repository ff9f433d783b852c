"""Asking a program again until it shows what it should."""

from __future__ import annotations

import time
from typing import Callable, Optional

from hostctl.errors import HostError


def wait_until(probe: Callable[[], Optional[str]], patience: float) -> None:
    """Ask `probe` until it has no complaint, `patience` seconds at most; raises HostError with its last one."""
    deadline = time.monotonic() + patience
    while True:
        complaint = probe()
        if complaint is None:
            return
        if time.monotonic() >= deadline:
            raise HostError(complaint)
        time.sleep(0.05)
