"""One command in an SSH session.

asyncssh sends a session's environment without asking for an answer, so a refusal, which the official plugin
reports, would go unseen. `_Channel` asks.
"""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

import signal as signals
from contextlib import suppress
from typing import Any

import asyncssh
from asyncssh.channel import SSHClientChannel
from asyncssh.packet import String

from toolchain.plugins.command.running import Capture, Run
from toolchain.plugins.shared.log import EngineLog
from toolchain.plugins.shared.resource import ProviderError

WINDOW = 2 * 1024 * 1024
PACKET = 32 * 1024


class _Session(asyncssh.SSHClientSession[bytes]):
    """Hands what arrives to a `Capture` and remembers how the command ended."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self.error: str | None = "wait: remote command exited without exit status or exit signal"

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._capture.feed("stderr" if datatype == asyncssh.EXTENDED_DATA_STDERR else "stdout", data)

    def exit_status_received(self, status: int) -> None:
        self.error = f"Process exited with status {status}" if status else None

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        number = getattr(signals, f"SIG{signal}", 0)
        reason = f". Reason was: {msg}" if msg else ""
        self.error = f"Process exited with status {128 + int(number)} from signal {signal}{reason}"


class _Channel(SSHClientChannel[bytes]):
    """Sets the environment just before the command, each variable with an answer from the server."""

    def __init__(self, connection: Any, log: EngineLog, run: Run) -> None:
        super().__init__(connection, connection._loop, "strict", None, "strict", WINDOW, PACKET)
        self._engine_log = log
        self._run = run

    async def _make_request(self, request: bytes, *args: bytes) -> bool | None:
        if request == b"exec":
            await self._set_environment()
        return await super()._make_request(request, *args)

    async def _set_environment(self) -> None:
        for name, value in self._run.environment.items():
            if not await super()._make_request(b"env", String(name), String(value)):
                await self._engine_log.write("ERROR", _accept_env(name))
                self.close()
                raise ProviderError(f'could not set environment variable "{name}": ssh: setenv failed')
        for name, value in self._run.previous.items():
            if not await super()._make_request(b"env", String(name), String(value)):
                await self._engine_log.write("WARNING", _accept_env(name))


def _accept_env(name: str) -> str:
    return (
        f"Unable to set '{name}'. This only works if your SSH server is configured to accept "
        f"the variable via AcceptEnv."
    )


async def execute(connection: asyncssh.SSHClientConnection, run: Run, capture: Capture, log: EngineLog) -> str | None:
    """Run to the end; gives the error in the words of Go's ssh package, None when all went well."""
    session = _Session(capture)
    channel = _Channel(connection, log, run)
    try:
        await channel.create(
            lambda: session, run.command, None, {}, False, None, None, {}, False, None, None, False, False
        )
    except asyncssh.ChannelOpenError as failure:
        return f"ssh: command failed: {failure.reason}"
    if run.stdin:
        # A command that reads nothing may have ended by now: how it ended is the answer.
        with suppress(BrokenPipeError):
            channel.write(run.stdin.encode())
    channel.write_eof()
    await channel.wait_closed()
    return session.error
