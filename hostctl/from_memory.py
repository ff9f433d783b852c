"""Runs a program on a host of which nothing is installed there: a zip on stdin, read into memory (memfd_create(2))."""

from __future__ import annotations

import base64
import shlex

BOOT = """
import base64, os, sys
sys.dont_write_bytecode = True
memory = os.memfd_create("{package}")
with open(memory, "wb", closefd=False) as file:
    file.write(base64.b64decode(sys.stdin.readline()))
sys.path.insert(0, f"/proc/self/fd/{{memory}}")
from {package}.__main__ import main
main()
"""


def command(package: str) -> str:
    """The line that runs there what `stdin` gives: `main` of a package in the zip."""
    return f"python3 -I -c {shlex.quote(BOOT.format(package=package))}"


def stdin(archive: bytes, request: str) -> str:
    """The program on the first line, then the request."""
    return f"{base64.b64encode(archive).decode()}\n{request}"
