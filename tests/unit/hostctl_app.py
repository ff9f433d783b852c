"""A fake program with a shared file and own files, a host for it, and ways to die in the middle."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.host import Host
from hostctl.unit import HEADER, RELOAD, Change, OwnFile, SharedFile, Unit, Wish

SHARED = "/etc/app/shared.json"
STEPS = ["journal", "write", "check", "swap", "activate", "verify", "prove", "commit", "close"]
ME = {"uid": os.geteuid(), "gid": os.getegid()}
FOREIGN = b'{"theirs": 1}   \n'


class _Shared(SharedFile):
    path = SHARED

    def __init__(self, value: Any) -> None:
        self.value = value

    def merge(self, base: bytes | None) -> tuple[bytes, dict[str, Any]]:
        data = json.loads(base or b"{}")
        return json.dumps({**data, "ours": self.value}).encode(), {"created": base is None}


class App(Unit):
    """Keeps the text that it has read in /run/app, as a program keeps it in memory."""

    name = "app"

    def __init__(self, **broken: Exception) -> None:
        super().__init__()
        self.broken = broken
        self.activations = 0

    def own_files(self, host: Host, wish: Wish) -> list[OwnFile]:
        return [
            OwnFile(f"/etc/app/own/{name}", FileState(f"# {HEADER}\n{text}\n".encode(), 0o644, **ME))
            for name, text in wish.get("own", {}).items()
        ]

    def shared_files(self, host: Host, wish: Wish) -> list[SharedFile]:
        return [_Shared(wish["value"])] if "value" in wish else []

    def unmerge(self, path: str, current: bytes, ours: dict[str, Any]) -> tuple[bytes | None, list[str]]:
        data = json.loads(current)
        data.pop("ours", None)
        return (None if ours["created"] and not data else json.dumps(data).encode()), []

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        self._break("check", change)

    def activation(self, host: Host, change: Change) -> str:
        return RELOAD

    def activate(self, host: Host, change: Change, level: str) -> None:
        self.activations += 1
        self._break("activate", change)
        memory(host).parent.mkdir(exist_ok=True)
        memory(host).write_text(json.dumps(on_disk(host)))

    def verify(self, host: Host, change: Change, patience: float) -> None:
        self._break("verify", change)
        if json.loads(memory(host).read_text()) != on_disk(host):
            raise HostError("app shows something else")

    def forget(self, host: Host, facts: Mapping[str, Any]) -> None:
        self._break("forget", None)

    def _break(self, place: str, change: Change | None) -> None:
        way = "back" if change is not None and change.wish is None else "forth"
        for name in (place, f"{place}_{way}"):
            if name in self.broken:
                raise self.broken[name]


def memory(host: Host) -> Path:
    return host.root / "run/app"


def on_disk(host: Host) -> dict[str, str]:
    folder = host.root / "etc/app"
    return {str(path): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file() and path.name[0] != "."}


def tree(host: Host) -> dict[str, Any]:
    """Everything on the host outside hostctl's own folder."""
    return {
        str(path.relative_to(host.root)): (
            path.read_bytes() if path.is_file() else None,
            stat.S_IMODE(path.stat().st_mode),
        )
        for path in sorted(host.root.rglob("*"))
        if "http-registry" not in path.relative_to(host.root).parts
        and path.relative_to(host.root).parts[0] not in ("run", "log")
    }


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host whose runtime runs on a foreign file of an odd mode."""
    host = Host(tmp_path)
    (tmp_path / "etc/app").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "var/lib").mkdir(parents=True)
    (tmp_path / "etc/app/shared.json").write_bytes(FOREIGN)
    (tmp_path / "etc/app/shared.json").chmod(0o640)
    App().activate(host, Change({}, {}), RELOAD)
    return host


OLD: Wish = {"value": 1, "own": {"a": "one", "b": "two"}}
NEW: Wish = {"value": 2, "own": {"a": "changed", "c": "three"}}


def at(step: str, action: Callable[[], None]) -> Callable[[str], None]:
    return lambda name: action() if name == step else None


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], Any]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
