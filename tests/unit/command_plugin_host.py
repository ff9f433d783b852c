"""An SSH host on 127.0.0.1 inside the test's own event loop: exec through /bin/sh, and SFTP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from toolchain.plugins.command.pool import Pool
from toolchain.plugins.shared.log import SilentLog
from toolchain.plugins.shared.resource import Context
from toolchain.plugins.shared.values import Props, Value

USER = "deploy"
PASSWORD = "pass-word"
POOL = Pool()
"""Of the resource types under test; empty again after each test."""


@dataclass
class Host:
    """A running host and what it saw."""

    port: int
    host_key: str
    user_key: str
    commands: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)

    def cut_off(self) -> None:
        """End every connection without a goodbye."""
        for connection in self.connections:
            connection.abort()

    def connection(self, **more: Value) -> Props:
        """A `connection` input that logs in with the user's key."""
        props: Props = {
            "host": "127.0.0.1",
            "port": float(self.port),
            "user": USER,
            "privateKey": self.user_key,
            "hostKey": self.host_key,
            "dialErrorLimit": 0.0,
            "perDialTimeout": 5.0,
        }
        return {name: value for name, value in {**props, **more}.items() if value is not None}


class _Server(asyncssh.SSHServer):
    def __init__(self, host: Host, kbdint: bool) -> None:
        self._host = host
        self._kbdint = kbdint

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._host.logins.append("connected")
        self._host.connections.append(conn)

    def password_auth_supported(self) -> bool:
        return not self._kbdint

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def kbdint_auth_supported(self) -> bool:
        return self._kbdint

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return ("", "", "", [("First?", False), ("Second?", False)])

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        return list(responses) == [PASSWORD, PASSWORD]

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return True


@asynccontextmanager
async def ssh_host(*, kbdint: bool = False, refuses: bool = False) -> AsyncIterator[Host]:
    """A host that lets USER in by its key, PASSWORD or (with `kbdint`) the answers to two questions.

    One that `refuses` ends every command at once with status 3, before it has read anything.
    """
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    user_key = asyncssh.generate_private_key("ssh-ed25519")
    host = Host(0, host_key.export_public_key().decode(), user_key.export_private_key().decode())

    children: list[asyncio.subprocess.Process] = []
    talks: list[asyncio.Task[Any]] = []
    over = asyncio.Event()

    async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        if (this := asyncio.current_task()) is not None:
            talks.append(this)
        host.commands.append(process.command or "")
        if refuses:
            process.stderr.write(b"refused\n")
            process.exit(3)
            return
        stdin = await process.stdin.read()
        child = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            process.command or "",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], **process.env},
        )
        children.append(child)
        if over.is_set():
            child.kill()
        talks.append(asyncio.create_task(child.communicate(stdin)))
        out, err = await asyncio.shield(talks[-1])
        if process.is_closing():
            return
        process.stdout.write(out)
        process.stderr.write(err)
        process.exit(child.returncode or 0)

    authorized = asyncssh.import_authorized_keys(user_key.export_public_key().decode())
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: _Server(host, kbdint),
        server_host_keys=[host_key],
        authorized_client_keys=authorized,
        process_factory=run,
        sftp_factory=True,
        encoding=None,
    )
    host.port = server.get_port()
    try:
        yield host
    finally:
        server.close()
        await server.wait_closed()
        over.set()
        for child in children:
            if child.returncode is None:
                child.kill()
        # Their pipes are closed while the loop is there, else the garbage collector warns in some later test.
        while pending := [each for each in talks if not each.done()]:
            await asyncio.gather(*pending, return_exceptions=True)
        await asyncio.sleep(0)


def context(type: str, name: str = "thing") -> tuple[Context, SilentLog]:
    """A resource's context and the log that it writes to."""
    log = SilentLog()
    return Context(urn=f"urn:pulumi:dev::project::{type}::{name}", log=log), log


def on_host(test: Callable[[Host], Coroutine[Any, Any, None]], **options: bool) -> None:
    """Run a test with an SSH host."""

    async def run() -> None:
        async with ssh_host(**options) as host:
            try:
                await test(host)
            finally:
                await POOL.close()

    asyncio.run(run())
