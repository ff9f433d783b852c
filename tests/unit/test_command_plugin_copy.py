"""Decides the rules of remote.CopyToRemote, over a real SFTP server on 127.0.0.1."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.unit.command_plugin_host import POOL, Host, context, ssh_host
from toolchain.plugins.command.copy_to_remote import CopyToRemote
from toolchain.plugins.shared.resource import ProviderError
from toolchain.plugins.shared.values import UNKNOWN, Archive, Asset, Props, Secret, Value

KIND = CopyToRemote(POOL)
CONTEXT, _ = context(KIND.token)


@pytest.fixture(autouse=True)
def _no_agent_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def on_host(test: Callable[[Host], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with ssh_host() as host:
            await test(host)

    asyncio.run(run())


def copied(source: Value, remote: Path | str) -> None:
    async def test(host: Host) -> None:
        inputs: Props = {"source": source, "remotePath": str(remote), "connection": host.connection()}
        created = await KIND.create(CONTEXT, inputs, False)
        assert created.state == inputs
        assert re.fullmatch(r"[0-9a-f]{8}", created.id)

    on_host(test)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a file, a nested file and links to a file."""
    folder = tmp_path / "source"
    (folder / "nested").mkdir(parents=True)
    (folder / "file").write_bytes(b"content\x00\xff")
    (folder / "nested" / "inner").write_text("inner")
    (folder / "nested" / "link").symlink_to("../file")
    (folder / "link").symlink_to(folder / "file")
    return folder


def test_a_text_becomes_a_file_and_its_parents_are_made(tmp_path: Path) -> None:
    copied(Secret(Asset(text="täxt\n", hash="1")), tmp_path / "a" / "b" / "file")
    assert (tmp_path / "a" / "b" / "file").read_text() == "täxt\n"


def test_an_empty_text_is_an_empty_file(tmp_path: Path) -> None:
    copied(Asset(text="", hash="1"), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b""


def test_a_text_needs_a_file_path(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="is a directory; when using a text asset"):
        copied(Asset(text="x"), tmp_path)


def test_a_file_overwrites_a_longer_one(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("longer than what comes")
    copied(Asset(path=str(source / "file")), target)
    assert target.read_bytes() == b"content\x00\xff"


def test_a_file_goes_into_an_existing_folder(source: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    copied(Archive(path=str(source / "file")), tmp_path / "folder")
    assert (tmp_path / "folder" / "file").read_bytes() == b"content\x00\xff"


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize(("slash", "beneath"), [("", "source"), ("/", ".")])
def test_a_folder_goes_below_the_remote_path_or_with_a_slash_into_it(
    source: Path, tmp_path: Path, exists: bool, slash: str, beneath: str
) -> None:
    target = tmp_path / "deep" / "target"
    if exists:
        target.mkdir(parents=True)
        (target / "other").write_text("stays")
    copied(Archive(path=f"{source}{slash}"), target)
    assert (target / beneath / "nested" / "inner").read_text() == "inner"
    for link in (target / beneath / "link", target / beneath / "nested" / "link"):
        assert not link.is_symlink()
        assert link.read_bytes() == b"content\x00\xff"
    assert not exists or (target / "other").read_text() == "stays"


def test_a_linked_file_is_copied_as_a_file_and_a_link_to_a_folder_refused(source: Path, tmp_path: Path) -> None:
    copied(Asset(path=str(source / "link")), tmp_path / "target")
    assert not (tmp_path / "target").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"content\x00\xff"
    (source / "folder").symlink_to("nested")
    with pytest.raises(ProviderError, match=r"failed to copy file .*/folder to .*is a directory"):
        copied(Archive(path=str(source)), tmp_path / "other")


def test_a_folder_does_not_replace_a_file(source: Path, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("a file")
    with pytest.raises(ProviderError, match="exists but is not a directory"):
        copied(Archive(path=str(source)), tmp_path / "target")


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"open .*/nothing: no such file or directory"):
        copied(Asset(path=str(tmp_path / "nothing")), tmp_path / "target")


@pytest.mark.parametrize(
    ("old", "new", "copies"),
    [
        ({"source": Asset(text="a", hash="1")}, {"source": Asset(text="a", hash="1")}, False),
        ({"source": Asset(text="a", hash="1")}, {"source": Secret(Asset(text="b", hash="2"))}, True),
        ({"source": Asset(path="/x", hash="1")}, {"source": Asset(text="b", hash="1")}, False),
        ({"remotePath": "elsewhere"}, {}, True),
        ({"connection": {"host": "other"}}, {}, False),
        ({"triggers": ["1"]}, {}, False),
    ],
)
def test_update_copies_only_when_content_or_place_changed(tmp_path: Path, old: Props, new: Props, copies: bool) -> None:
    async def test(host: Host) -> None:
        inputs: Props = {
            "source": Asset(text="a", hash="1"),
            "remotePath": str(tmp_path / "file"),
            "connection": host.connection(),
        }
        before, after = {**inputs, **old}, {**inputs, **new}
        assert await KIND.update(CONTEXT, "id", before, before, after, True) == after
        assert not (tmp_path / "file").exists()
        assert await KIND.update(CONTEXT, "id", before, before, after, False) == after
        assert (tmp_path / "file").exists() == copies

    on_host(test)


def test_a_preview_dials_nothing_and_delete_leaves_the_file() -> None:
    inputs: Props = {"source": Asset(text="x"), "remotePath": "/x", "connection": {"host": "nowhere.invalid"}}
    assert asyncio.run(KIND.create(CONTEXT, inputs, True)).state == inputs
    asyncio.run(KIND.delete(CONTEXT, "id", inputs))


@pytest.mark.parametrize(
    ("source", "property"),
    [
        (Asset(text="x"), None),
        (Secret(Asset(path="x")), None),
        (Archive(path="x"), None),
        (Asset(uri="https://x"), "asset"),
        (Archive(assets={"a": Asset(text="x")}), "archive"),
        (Archive(uri="https://x"), "archive"),
        ("a string", "asset"),
        (UNKNOWN, "asset"),
        (None, "asset"),
    ],
)
def test_check_takes_a_path_or_a_text(source: Value, property: str | None) -> None:
    inputs: Props = {"source": source, "remotePath": "/x", "connection": {"host": "h"}}
    failures = asyncio.run(KIND.check(CONTEXT, {}, inputs)).failures
    assert [failure.property for failure in failures] == ([property] if property else [])


def test_check_wants_a_remote_path() -> None:
    inputs: Props = {"source": Asset(text="x"), "connection": {"host": "h"}}
    (failure,) = asyncio.run(KIND.check(CONTEXT, {}, inputs)).failures
    assert failure.property == "remotePath"
