"""Decides: resources of one host share a login as long as it works; who wants to know whether he gets in dials."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.unit.command_plugin_host import POOL, Host, context, on_host
from toolchain.plugins.command import pool
from toolchain.plugins.command.copy_to_remote import CopyToRemote
from toolchain.plugins.command.remote import RemoteCommand
from toolchain.plugins.shared.values import Asset, Props, Value

KIND = RemoteCommand(POOL)
COPY = CopyToRemote(POOL)


@pytest.fixture(autouse=True)
def _no_agent_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


async def said(host: Host, command: str = "echo hello", **connection: Value) -> Value:
    inputs: Props = {"create": command, "connection": host.connection(**connection)}
    return (await KIND.create(context(KIND.token)[0], inputs, False)).state["stdout"]


def test_commands_and_copies_share_a_login(tmp_path: Path) -> None:
    async def test(host: Host) -> None:
        assert await said(host) == "hello"
        source = Asset(text="text")
        inputs: Props = {"source": source, "remotePath": str(tmp_path / "file"), "connection": host.connection()}
        await COPY.create(context(COPY.token)[0], inputs, False)
        assert (await said(host, "echo 1"), await said(host, "echo 2")) == ("1", "2")
        assert (tmp_path / "file").read_text() == "text"
        assert len(host.logins) == 1

    on_host(test)


def test_many_at_once_dial_again_before_sshd_refuses_them() -> None:
    async def test(host: Host) -> None:
        await asyncio.gather(*(said(host, "sleep 0.2") for _ in range(pool.SESSIONS + 1)))
        assert len(host.logins) == 2

    on_host(test)


def test_a_login_that_was_cut_off_is_replaced() -> None:
    async def test(host: Host) -> None:
        await said(host)
        host.cut_off()
        await asyncio.sleep(0.05)
        assert await said(host) == "hello"
        assert len(host.logins) == 2

    on_host(test)


def test_a_login_that_has_gone_silent_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(host: Host) -> None:
        await said(host)
        monkeypatch.setattr(pool, "IDLE", 0.0)
        await said(host)
        assert len(host.logins) == 1
        monkeypatch.setattr(pool, "ANSWER", 0.1)
        host.connections[0]._transport.pause_reading()  # type: ignore[union-attr]
        assert await said(host) == "hello"
        assert len(host.logins) == 2
        host.cut_off()

    on_host(test)


@pytest.mark.parametrize("dials", [11.0, -1.0])
def test_who_dials_for_longer_than_others_has_a_login_of_his_own(dials: float) -> None:
    async def test(host: Host) -> None:
        await said(host)
        await said(host, dialErrorLimit=dials)
        await said(host, dialErrorLimit=dials)
        assert len(host.logins) == 3

    on_host(test)


def test_another_connection_is_another_login() -> None:
    async def test(host: Host) -> None:
        await said(host)
        await said(host, perDialTimeout=6.0)
        assert len(host.logins) == 2

    on_host(test)
