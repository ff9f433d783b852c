"""Decides how a connection dials and logs in, over real SSH servers on 127.0.0.1."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

from tests.free_port import free_port
from tests.unit.command_plugin_host import PASSWORD, POOL, Host, context, on_host, ssh_host
from toolchain.plugins.command import dial
from toolchain.plugins.command.remote import RemoteCommand
from toolchain.plugins.shared.log import SilentLog
from toolchain.plugins.shared.resource import ProviderError
from toolchain.plugins.shared.values import Props, Secret, Value

KIND = RemoteCommand(POOL)


@pytest.fixture(autouse=True)
def _no_agent_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def ssh_agent(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Starts an agent that holds the given private key; gives its socket's path."""
    if shutil.which("ssh-agent") is None or shutil.which("ssh-add") is None:
        pytest.skip("needs ssh-agent and ssh-add")
    path = tmp_path / "agent"
    agents: list[subprocess.Popen[bytes]] = []

    def start(key: str) -> str:
        agents.append(subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL))
        file = tmp_path / "key"
        file.touch(mode=0o600)
        file.write_text(key)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
        while subprocess.run(["ssh-add", "-q", str(file)], env=environment, check=False).returncode == 2:
            time.sleep(0.05)
        return str(path)

    yield start
    for agent in agents:
        agent.terminate()
        agent.wait()


async def create(inputs: Props, log: SilentLog | None = None) -> Props:
    place, own = context(KIND.token)
    if log is not None:
        own.messages = log.messages
    return (await KIND.create(place, inputs, False)).state


async def failure_of(connection: Value, log: SilentLog | None = None) -> str:
    with pytest.raises(ProviderError) as failure:
        await create({"create": "true", "connection": connection}, log)
    return str(failure.value)


@pytest.mark.parametrize("kbdint", [False, True])
def test_a_password_also_answers_each_question(kbdint: bool) -> None:
    async def test(host: Host) -> None:
        connection = host.connection(privateKey=None, password=Secret(PASSWORD))
        assert (await create({"create": "echo in", "connection": connection}))["stdout"] == "in"

    on_host(test, kbdint=kbdint)


def test_an_encrypted_key_needs_its_password() -> None:
    async def test(host: Host) -> None:
        key = asyncssh.import_private_key(host.user_key)
        encrypted = key.export_private_key("pkcs8-pem", passphrase="phrase").decode()
        good = host.connection(privateKey=encrypted, privateKeyPassword="phrase")
        assert (await create({"create": "echo in", "connection": good}))["stdout"] == "in"
        assert "connection.privateKey" in await failure_of(host.connection(privateKey=encrypted))

    on_host(test)


def test_wrong_credentials_are_dialled_again_and_then_refused() -> None:
    async def test(host: Host) -> None:
        log = SilentLog()
        connection = host.connection(privateKey=None, password="no", dialErrorLimit=1.0)
        text = await failure_of(connection, log)
        assert text.startswith("after 1 failed attempts: ssh: handshake failed: ssh: unable to authenticate")
        assert "attempted methods [none password keyboard-interactive]" in text
        assert log.messages == [("INFO", "Dial 1/1 failed: retrying", True)]
        assert len(host.logins) == 2

    on_host(test)


def test_only_the_given_host_key_is_accepted() -> None:
    async def test(host: Host) -> None:
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        assert "ssh: host key mismatch" in await failure_of(host.connection(hostKey=other))
        ecdsa = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
        assert "handshake failed" in await failure_of(host.connection(hostKey=ecdsa))
        assert "connection.hostKey" in await failure_of(host.connection(hostKey="rubbish"))
        assert host.commands == []

    on_host(test)


def test_without_a_host_key_any_is_accepted() -> None:
    async def test(host: Host) -> None:
        inputs: Props = {"create": "echo in", "connection": host.connection(hostKey=None)}
        assert (await create(inputs))["stdout"] == "in"

    on_host(test)


@pytest.mark.parametrize("limit", [0, 2])
def test_dials_are_counted_as_the_official_plugin_counts(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    log = SilentLog()
    port = free_port()
    text = asyncio.run(failure_of({"host": "127.0.0.1", "port": float(port), "dialErrorLimit": float(limit)}, log))
    assert text == f"after {limit} failed attempts: dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert [message for _, message, _ in log.messages] == [
        f"Dial {number}/{limit} failed: retrying" for number in range(1, limit + 1)
    ]
    assert waits == pytest.approx([0.1 * 1.5**number for number in range(limit)])


def test_without_a_limit_it_dials_until_the_host_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    log = SilentLog()

    async def attempt() -> str:
        if len(waits) < 12:
            raise dial.DialError("not yet")
        return "there"

    assert asyncio.run(dial.retrying("Dial", -1, attempt, log)) == "there"
    assert log.messages[0][1] == "Dial 1/inf failed: retrying"
    assert max(waits) == waits[-1] == 5.0


def test_the_timeout_covers_the_tcp_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> socket.socket:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(dial, "_first_address", never)
    text = asyncio.run(failure_of({"host": "10.0.0.1", "dialErrorLimit": 0.0, "perDialTimeout": 1.0, "port": 9.0}))
    assert text == "after 0 failed attempts: dial tcp 10.0.0.1:9: i/o timeout"


def test_a_bad_agent_socket_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(host: Host) -> None:
        text = await failure_of(host.connection(agentSocketPath=str(tmp_path / "none")))
        assert text == f"dial unix {tmp_path}/none: connect: no such file or directory"
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "other"))
        assert "other: connect" in await failure_of(host.connection())

    on_host(test)


def test_an_agents_key_logs_in(ssh_agent: Callable[[str], str]) -> None:
    async def test(host: Host) -> None:
        path = await asyncio.to_thread(ssh_agent, host.user_key)
        connection = host.connection(privateKey=None, agentSocketPath=path)
        assert (await create({"create": "echo in", "connection": connection}))["stdout"] == "in"

    on_host(test)


def test_a_proxy_is_dialled_first_and_its_failures_say_so() -> None:
    async def test(host: Host) -> None:
        async with ssh_host() as jump:
            through = host.connection(proxy=jump.connection())
            assert (await create({"create": "echo in", "connection": through}))["stdout"] == "in"
            assert (jump.logins, jump.commands) == (["connected"], [])
            port = free_port()
            log = SilentLog()
            closed = host.connection(proxy=jump.connection(), port=float(port), dialErrorLimit=1.0)
            text = await failure_of(closed, log)
            assert text.startswith("proxy: after 1 failed attempts: ssh: rejected: connect failed")
            assert log.messages == [("INFO", "Dial from proxy 1/1 failed: retrying", True)]
        log = SilentLog()
        gone = jump.connection(dialErrorLimit=1.0)
        text = await failure_of(host.connection(proxy=gone), log)
        assert text.startswith("proxy: after 1 failed attempts: dial tcp 127.0.0.1:")
        assert log.messages == [("INFO", "Dial proxy 1/1 failed: retrying", True)]

    on_host(test)
