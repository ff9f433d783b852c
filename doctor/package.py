"""Makes what travels to a host for one answer: doctor, hostctl and tomlkit as a zip, and the line that runs it there.

The zip is read from stdin into memory (memfd_create(2)): no file is made on the host. Runs on the controller and is not
in the zip.
"""

from __future__ import annotations

import base64
import shlex
from pathlib import Path

from hostctl.package import archive_of, library_members, members

HERE = Path(__file__).resolve().parent
BOOT = """
import base64, os, sys
sys.dont_write_bytecode = True
memory = os.memfd_create("doctor")
with open(memory, "wb", closefd=False) as file:
    file.write(base64.b64decode(sys.stdin.readline()))
sys.path.insert(0, f"/proc/self/fd/{memory}")
from doctor.__main__ import main
main()
"""


def stdin(request: str) -> str:
    """What the command reads: the program on the first line, then the request."""
    return f"{base64.b64encode(archive()).decode()}\n{request}"


def archive() -> bytes:
    """The zip's bytes."""
    return archive_of({**library_members(), **members("doctor", HERE, without=Path(__file__).resolve())})


COMMAND = f"python3 -I -c {shlex.quote(BOOT)}"
