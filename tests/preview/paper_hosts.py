"""Hosts on which `pulumi up` succeeds at once: an SSH server that takes files, and answers each hostctl with a report.

Nothing is carried out. For the preview after such an `up`, which reads the state and no host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from tests.preview.ssh_server import ssh_server

HOSTCTL = re.compile(r"python3 -I -S (\S+) (apply|confirm|remove)")


@dataclass
class Paper:
    """Where all the hosts answer, and what they have been asked for: hostctl's action and the unit."""

    port: int = 0
    key: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    connections: int = 0
    failing: set[str] = field(default_factory=set)
    """The units that can't be applied."""
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the reports of units say besides."""

    def answer(self, command: str, stdin: bytes) -> tuple[int, dict[str, Any] | None]:
        """Exit status and report of a command; any other than hostctl succeeds and says nothing."""
        called = HOSTCTL.fullmatch(command)
        if not called:
            return 0, None
        unit = json.loads(stdin)["unit"]
        self.asked.append((called[2], unit))
        if unit in self.failing:
            return 1, {"unit": unit, "result": "failed", "error": "it is to fail", "rolled_back": True}
        more = self.reports.get(unit, {})
        return 0, {"unit": unit, "result": "changed", "files": [], "activation": "none", "notes": [], **more}


@contextmanager
def paper_hosts(folder: Path) -> Iterator[Paper]:
    """One on 127.0.0.1. `folder`: for the files that it takes."""
    made = Paper()

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            made.connections += 1

        def begin_auth(self, username: str) -> bool:
            return False

    async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        stdin = await process.stdin.read()
        status, report = made.answer(process.command or "", stdin)
        process.stdout.write(json.dumps(report).encode() if report else b"")
        process.exit(status)

    def files(channel: asyncssh.SSHServerChannel[bytes]) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=str(folder).encode())

    key = asyncssh.generate_private_key("ssh-ed25519")
    options: dict[str, Any] = {"server_factory": Server, "process_factory": run, "sftp_factory": files}
    with ssh_server(server_host_keys=[key], **options) as made.port:
        made.key = " ".join(key.export_public_key().decode().split()[:2])
        yield made
