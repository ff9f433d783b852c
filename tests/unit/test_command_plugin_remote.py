"""Decides the rules of remote.Command and its check of a connection, over a real SSH server on 127.0.0.1."""

from __future__ import annotations

import asyncio

import asyncssh
import pytest
from asyncssh.channel import SSHServerChannel

from tests.unit.command_plugin_host import POOL, Host, context, on_host
from toolchain.plugins.command.connection import checked_connection, parsed_connection
from toolchain.plugins.command.remote import RemoteCommand
from toolchain.plugins.shared.log import SilentLog
from toolchain.plugins.shared.resource import ProviderError
from toolchain.plugins.shared.values import UNKNOWN, Props, Secret, Value

KIND = RemoteCommand(POOL)


@pytest.fixture(autouse=True)
def _no_agent_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


async def create(inputs: Props, log: SilentLog | None = None) -> Props:
    place, own = context(KIND.token)
    if log is not None:
        own.messages = log.messages
    return (await KIND.create(place, inputs, False)).state


def test_runs_as_it_is_with_stdin_and_keeps_connection_secret() -> None:
    async def test(host: Host) -> None:
        connection = Secret(host.connection())
        inputs: Props = {
            "create": "cat; echo err >&2; echo",
            "stdin": Secret("in"),
            "connection": connection,
            "logging": "none",
        }
        state = await create(inputs)
        assert state == {**inputs, "stdout": "in", "stderr": "err"}
        assert host.commands == ["cat; echo err >&2; echo"]

    on_host(test)


def test_a_failure_has_the_official_text() -> None:
    async def test(host: Host) -> None:
        with pytest.raises(ProviderError) as failure:
            await create({"create": "echo a; exit 7", "connection": host.connection()})
        assert str(failure.value) == 'Process exited with status 7: running "echo a; exit 7":\na\n'

    on_host(test)


def test_much_stdin_comes_back_whole() -> None:
    async def test(host: Host) -> None:
        inputs: Props = {"create": "cat", "stdin": "x" * 3_000_000, "logging": "none"}
        state = await create({**inputs, "connection": host.connection()})
        assert state["stdout"] == inputs["stdin"]

    on_host(test)


def test_a_command_that_ends_before_its_stdin_is_sent_fails_as_itself() -> None:
    async def test(host: Host) -> None:
        with pytest.raises(ProviderError) as failure:
            await create({"create": "x", "stdin": "in", "connection": host.connection()})
        assert str(failure.value) == 'Process exited with status 3: running "x":\nrefused\n'

    on_host(test, refuses=True)


def test_a_command_cut_off_is_a_failure() -> None:
    async def test(host: Host) -> None:
        running = asyncio.create_task(create({"create": "exec sleep 9", "connection": host.connection()}))
        while not host.commands:
            await asyncio.sleep(0.01)
        host.cut_off()
        with pytest.raises(ProviderError, match="exited without exit status or exit signal: running"):
            await running

    on_host(test)


def test_delete_runs_the_old_states_command() -> None:
    async def test(host: Host) -> None:
        place, _ = context(KIND.token)
        await KIND.delete(place, "id", {"delete": "exit 0", "connection": host.connection(), "stdout": ""})
        assert host.commands == ["exit 0"]

    on_host(test)


def test_environment_reaches_the_host_where_it_accepts_it() -> None:
    async def test(host: Host) -> None:
        inputs: Props = {"create": "echo $A", "environment": {"A": "b"}, "connection": host.connection()}
        assert (await create(inputs))["stdout"] == "b"

    on_host(test)


def test_a_refused_variable_is_an_error_and_a_refused_previous_output_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: object, packet: asyncssh.packet.SSHPacket) -> bool:
        packet.get_string()
        packet.get_string()
        return False

    monkeypatch.setattr(SSHServerChannel, "_process_env_request", refuse)

    async def test(host: Host) -> None:
        log = SilentLog()
        with pytest.raises(ProviderError, match='could not set environment variable "A"'):
            await create({"create": "x", "environment": {"A": "b"}, "connection": host.connection()}, log)
        assert "AcceptEnv" in log.messages[0][1]
        place, own = context(KIND.token)
        new: Props = {"create": "echo ran", "connection": host.connection()}
        state = await KIND.update(place, "id", {**new, "stdout": "old", "stderr": ""}, new, new, False)
        assert state["stdout"] == "ran"
        assert [severity for severity, _, status in own.messages if not status] == ["WARNING"]

    on_host(test)


def test_check_fills_in_the_connections_defaults() -> None:
    place, _ = context(KIND.token)
    connection = Secret({"host": "h", "proxy": {"host": "p", "port": 2222.0}})
    checked = asyncio.run(KIND.check(place, {}, {"connection": connection}))
    defaults: Props = {"port": 22.0, "user": "root", "dialErrorLimit": 10.0, "perDialTimeout": 15.0}
    proxy: Props = {**defaults, "host": "p", "port": 2222.0}
    assert checked.inputs["connection"] == Secret({**defaults, "host": "h", "proxy": proxy})
    assert checked.failures == ()


@pytest.mark.parametrize(
    ("connection", "property"),
    [
        (None, "connection"),
        ({}, "connection.host"),
        ({"host": "h", "identity": "x"}, "connection.identity"),
        ({"host": "h", "port": 1.5}, "connection.port"),
        ({"host": "h", "proxy": {"host": "p", "proxy": {"host": "q"}}}, "connection.proxy.proxy"),
        ({"host": "h", "proxy": {}}, "connection.proxy.host"),
    ],
)
def test_check_names_what_is_wrong_with_a_connection(connection: Value, property: str) -> None:
    _, failures = checked_connection(connection)
    assert [failure.property for failure in failures] == [property]


def test_an_unknown_connection_passes_the_check() -> None:
    assert checked_connection(Secret(UNKNOWN)) == (Secret(UNKNOWN), ())


def test_a_connections_repr_shows_no_secret() -> None:
    connection = parsed_connection(
        {"host": "h", "password": "s3cret", "privateKey": "s3cret", "privateKeyPassword": "s3cret"}
    )
    assert "s3cret" not in repr(connection)
    assert "s3cret" not in repr(Secret("s3cret"))
