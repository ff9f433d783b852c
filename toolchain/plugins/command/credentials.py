"""What a connection logs in with, and which host keys it accepts.

Order and errors of pulumi-command v1.2.1, `Connection.SShConfig`: the private key, then the password (also
as the answer to each keyboard-interactive question), then the agent.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from toolchain.plugins.command.connection import Connection
from toolchain.plugins.shared.resource import ProviderError


@dataclass(frozen=True)
class Credentials:
    """asyncssh's options for one login."""

    client_keys: Sequence[Any] | None = field(repr=False)
    methods: tuple[str, ...]
    known_hosts: tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]] | None
    host_key_algorithms: tuple[str, ...]


@asynccontextmanager
async def credentials(connection: Connection) -> AsyncIterator[Credentials]:
    """The credentials of `connection`; the agent stays connected inside."""
    own_key = _private_key(connection)
    known_hosts, algorithms = _host_key(connection)
    path = connection.agent_socket_path or os.environ.get("SSH_AUTH_SOCK")
    agent = await _agent(path) if path else None
    try:
        # Go's ssh package tries a method once: a private key leaves no second "publickey" for the agent.
        agent_keys = list(await agent.get_keys()) if agent and own_key is None else []
        keys: list[Any] = [own_key] if own_key is not None else agent_keys
        password = ("password", "keyboard-interactive") if connection.password is not None else ()
        public_key = ("publickey",) if keys else ()
        methods = (*public_key, *password) if own_key is not None else (*password, *public_key)
        yield Credentials(keys or None, methods, known_hosts, algorithms)
    finally:
        if agent:
            agent.close()
            await agent.wait_closed()


def _private_key(connection: Connection) -> asyncssh.SSHKey | None:
    if connection.private_key is None:
        return None
    try:
        return asyncssh.import_private_key(connection.private_key, connection.private_key_password)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as failure:
        raise ProviderError(f"connection.privateKey: ssh: can't use this private key: {failure}") from None


def _host_key(
    connection: Connection,
) -> tuple[tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]] | None, tuple[str, ...]]:
    if connection.host_key is None:
        return None, ()
    try:
        key = asyncssh.import_public_key(connection.host_key)
    except asyncssh.KeyImportError as failure:
        raise ProviderError(
            f"connection.hostKey: failed to parse host key: {failure}; it is one line, `TYPE BASE64`"
        ) from None
    return ([key], [], []), tuple(algorithm.decode() for algorithm in key.sig_algorithms)


async def _agent(path: str) -> asyncssh.SSHAgentClient:
    try:
        return await asyncssh.connect_agent(path)
    except OSError as failure:
        reason = (failure.strerror or str(failure)).lower()
        raise ProviderError(f"dial unix {path}: connect: {reason}") from None
