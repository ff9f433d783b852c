"""The nginx that the tests run: this machine's, or the one of the lab hosts' Debian."""

from __future__ import annotations

import os
import shutil
from functools import cache

from lab import hostimage


@cache
def nginx() -> str:
    """The program's path."""
    return shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") or str(hostimage.program("nginx"))
