"""Logins that stay, for the resources of one host to share: a handshake costs both ends more than most commands.

The official plugin dials for every resource, with the same outcome. Only a resource whose `connection` is the same in
every field shares one, and none shares that asks for more dials than the schema's own number: who dials that long
wants to know whether he gets in *now*, as the confirmation of a firewall does.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toolchain.plugins.command.connection import DEFAULTS, Connection
from toolchain.plugins.shared.log import EngineLog

if TYPE_CHECKING:
    import asyncssh

SESSIONS: Final = 8
"""How many at once on one login; OpenSSH allows 10 (MaxSessions)."""
IDLE: Final = 1.0
"""Seconds without a session after which a login is asked whether it is still there."""
ANSWER: Final = 10.0
"""Seconds that it may take to say so."""


@dataclass
class _Login:
    client: asyncssh.SSHClientConnection
    life: AsyncExitStack
    users: int = 0
    used: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    async def lives(self) -> bool:
        """Whether a session can be had on it; nothing is sent where one runs, or ran a moment ago."""
        if self.client.is_closed():
            return False
        if self.users or asyncio.get_running_loop().time() - self.used < IDLE:
            return True
        try:
            async with asyncio.timeout(ANSWER):
                await self.client._make_global_request(b"keepalive@openssh.com")
        except TimeoutError:
            return False
        return not self.client.is_closed()


class Pool:
    """One for a plugin's life; with it the logins end."""

    def __init__(self) -> None:
        self._logins: dict[Connection, list[_Login]] = defaultdict(list)
        self._dialling: dict[Connection, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def connected(self, connection: Connection, log: EngineLog) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """A login at `connection`, new or shared. Raises `ProviderError` when there is none to be had."""
        if not _may_share(connection):
            # asyncssh costs half a second: a preview needs none of it.
            from toolchain.plugins.command.dial import connected

            async with connected(connection, log) as client:
                yield client
            return
        login = await self._login(connection, log)
        try:
            yield login.client
        finally:
            login.users -= 1
            login.used = asyncio.get_running_loop().time()

    async def _login(self, connection: Connection, log: EngineLog) -> _Login:
        from toolchain.plugins.command.dial import connected

        logins = self._logins[connection]
        async with self._dialling[connection]:
            for each in list(logins):
                if not await each.lives():
                    logins.remove(each)
                    await _end(each)
                elif each.users < SESSIONS:
                    each.users += 1
                    return each
            async with AsyncExitStack() as dialled:
                client = await dialled.enter_async_context(connected(connection, log))
                logins.append(_Login(client, dialled.pop_all(), users=1))
            return logins[-1]

    async def close(self) -> None:
        """End every login."""
        for logins in self._logins.values():
            while logins:
                await logins.pop().life.aclose()


def _may_share(connection: Connection) -> bool:
    most = DEFAULTS["dialErrorLimit"]
    assert isinstance(most, float)
    return 0 <= connection.dial_error_limit <= most


async def _end(login: _Login) -> None:
    """Without a goodbye, for which one that is silent would let us wait."""
    login.client.abort()
    await login.life.aclose()
