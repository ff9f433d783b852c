"""Dialling a host over SSH, with the waits, limits and texts of pulumi-command v1.2.1 (`dialWithRetry`)."""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

import asyncssh

from toolchain.plugins.command.connection import Connection
from toolchain.plugins.command.credentials import Credentials, credentials
from toolchain.plugins.shared.log import EngineLog
from toolchain.plugins.shared.resource import ProviderError

FIRST_WAIT: Final = 0.1
WAIT_GROWTH: Final = 1.5
LONGEST_WAIT: Final = 5.0
UNLIMITED: Final = -1
_T = TypeVar("_T")


class DialError(Exception):
    """One dial failed; another may not."""


@asynccontextmanager
async def connected(connection: Connection, log: EngineLog) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """A login at `connection`, closed at the end. Raises `ProviderError` when there is none to be had."""
    async with AsyncExitStack() as stack:
        own = await stack.enter_async_context(credentials(connection))
        limit = connection.dial_error_limit
        proxy = connection.proxy
        if proxy is None:
            client = await retrying("Dial", limit, lambda: _direct(connection, own), log)
        else:
            try:
                theirs = await stack.enter_async_context(credentials(proxy))
                jump = await retrying("Dial proxy", proxy.dial_error_limit, lambda: _direct(proxy, theirs), log)
                stack.push_async_callback(_close, jump)
                client = await retrying("Dial from proxy", limit, lambda: _through(jump, connection, own), log)
            except ProviderError as failure:
                raise ProviderError(f"proxy: {failure}") from None
        stack.push_async_callback(_close, client)
        yield client


async def retrying(what: str, limit: int, attempt: Callable[[], Awaitable[_T]], log: EngineLog) -> _T:
    """`attempt` until it works, or `limit` dials have been tried again (-1: without end)."""
    tried, wait = 0, FIRST_WAIT
    while True:
        try:
            return await attempt()
        except DialError as failure:
            if limit != UNLIMITED and tried >= limit:
                raise ProviderError(f"after {tried} failed attempts: {failure}") from None
        tried += 1
        shown = "inf" if limit == UNLIMITED else str(limit)
        await log.write("INFO", f"{what} {tried}/{shown} failed: retrying", status=True)
        await asyncio.sleep(wait)
        wait = min(wait * WAIT_GROWTH, LONGEST_WAIT)


async def _direct(connection: Connection, own: Credentials) -> asyncssh.SSHClientConnection:
    """TCP, then SSH. Both count as the dial."""
    tcp = await _tcp(connection)
    try:
        return await _handshake(connection, own, sock=tcp)
    except BaseException:
        tcp.close()
        raise


async def _through(
    jump: asyncssh.SSHClientConnection, connection: Connection, own: Credentials
) -> asyncssh.SSHClientConnection:
    """A connection from the proxy on. Only the proxy's own dial is tried again, not the login behind it."""
    try:
        return await _handshake(connection, own, tunnel=jump)
    except asyncssh.ChannelOpenError as failure:
        raise DialError(f"ssh: rejected: connect failed ({failure.reason})") from None
    except DialError as failure:
        raise ProviderError(str(failure)) from None


async def _tcp(connection: Connection) -> socket.socket:
    """A TCP connection; the per-dial timeout covers this alone."""
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    address = f"{host}:{connection.port}"
    try:
        async with asyncio.timeout(connection.per_dial_timeout or None):
            return await _first_address(connection.host, connection.port)
    except TimeoutError:
        raise DialError(f"dial tcp {address}: i/o timeout") from None
    except socket.gaierror:
        raise DialError(f"dial tcp: lookup {connection.host}: no such host") from None
    except OSError as failure:
        reason = os.strerror(failure.errno).lower() if failure.errno else str(failure)
        raise DialError(f"dial tcp {address}: connect: {reason}") from None


async def _first_address(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    last: OSError = OSError("no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        candidate = socket.socket(family, kind, protocol)
        candidate.setblocking(False)
        try:
            await loop.sock_connect(candidate, address)
            return candidate
        except OSError as failure:
            candidate.close()
            last = failure
        except BaseException:
            candidate.close()
            raise
    raise last


class _Client(asyncssh.SSHClient):
    """Answers each keyboard-interactive question with the password, as the official plugin does."""

    def __init__(self, password: str | None) -> None:
        self._password = password
        self._asked = False

    def kbdint_auth_requested(self) -> str | None:
        if self._password is None or self._asked:
            return None
        self._asked = True
        return ""

    def kbdint_challenge_received(self, name: str, instructions: str, lang: str, prompts: Any) -> list[str]:
        return [self._password or ""] * len(prompts)


async def _handshake(connection: Connection, own: Credentials, **through: Any) -> asyncssh.SSHClientConnection:
    """SSH over what is there already, with nothing from the user's ssh configuration or key files."""
    try:
        return await asyncssh.connect(
            connection.host,
            connection.port,
            **through,
            config=None,
            username=connection.user,
            password=connection.password,
            client_keys=own.client_keys,
            agent_path=None,
            client_factory=lambda: _Client(connection.password),
            preferred_auth=own.methods or ("none",),
            known_hosts=own.known_hosts,
            server_host_key_algs=own.host_key_algorithms or "default",
            gss_auth=False,
            gss_kex=False,
            disable_trivial_auth=False,
        )
    except asyncssh.ChannelOpenError:
        raise
    except asyncssh.PermissionDenied:
        methods = " ".join(("none", *own.methods))
        raise DialError(
            f"ssh: handshake failed: ssh: unable to authenticate, attempted methods [{methods}], "
            "no supported methods remain"
        ) from None
    except asyncssh.HostKeyNotVerifiable:
        raise DialError("ssh: handshake failed: ssh: host key mismatch") from None
    except asyncssh.ConnectionLost:
        raise DialError("ssh: handshake failed: EOF") from None
    except (asyncssh.Error, OSError) as failure:
        raise DialError(f"ssh: handshake failed: {failure}") from None


async def _close(connection: asyncssh.SSHClientConnection) -> None:
    connection.close()
    await connection.wait_closed()
