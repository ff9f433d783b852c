"""Makes what travels to a host for one answer: adopt, hostctl and tomlkit as a zip, and the line that runs it there.

No file is made on the host. Runs on the controller and is not in the zip.
"""

from __future__ import annotations

from pathlib import Path

from hostctl import from_memory
from hostctl.package import archive_of, library_members, members

HERE = Path(__file__).resolve().parent
COMMAND = from_memory.command("adopt")


def stdin(request: str) -> str:
    """What the command reads: the program on the first line, then the request."""
    return from_memory.stdin(archive(), request)


def archive() -> bytes:
    """The zip's bytes."""
    return archive_of({**library_members(), **members("adopt", HERE, without=Path(__file__).resolve())})
