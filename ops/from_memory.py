"""Runs a program on a host of which nothing is installed there: a zip on stdin, read into memory (memfd_create(2)).

In the zip is a package of this checkout, with hostctl and tomlkit, which it may use.
"""

from __future__ import annotations

import base64
import shlex
from pathlib import Path
from typing import NamedTuple

from hostctl.package import archive_of, library_members, members

CHECKOUT = Path(__file__).resolve().parents[1]

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


class FromMemory(NamedTuple):
    """A package of this checkout, by its name, whose `main` answers the request that is left on stdin."""

    package: str

    @property
    def command(self) -> str:
        """The line that runs there what `stdin` gives."""
        return f"python3 -I -c {shlex.quote(BOOT.format(package=self.package))}"

    def stdin(self, request: str) -> str:
        """The program on the first line, then the request."""
        return f"{base64.b64encode(self.archive()).decode()}\n{request}"

    def archive(self) -> bytes:
        """The zip's bytes."""
        return archive_of({**library_members(), **members(self.package, CHECKOUT / self.package)})
