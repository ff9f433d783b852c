"""A host with a fake containerd of a given version: it reads config.toml at a restart, and misbehaves when told to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit

from hostctl import containerd_versions, toml_text
from hostctl.containerd_toml import RegistryLogin, Wanted
from hostctl.host import Finished, Host
from hostctl.systemd import monotonic

NOBODY = 2**22 + 1
"""A process id that the kernel never gives: the service runs, and its command line is not known."""
RELEASES = {printed: containerd_versions.release(containerd_versions.number(printed)) for printed in (
    "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3",
    "containerd containerd.io 2.0.13 x",
    "containerd containerd.io v2.1.9 x",
    "containerd github.com/containerd/containerd/v2 v2.4.2 ",
)}  # fmt: skip
DEBUG = 'time="t" level=debug msg="systemd notification successful" notified=true state="READY=1"'
INFO = 'time="t" level=info msg="containerd successfully booted in 0.02s"'


@dataclass
class State:
    """What the fake remembers (`programs`: those that were run), and how it misbehaves: `failed` plugins, `complaints`
    in its log, `deaf` to debug.
    """

    started: int = 0
    restarts: int = 0
    programs: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    failed: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    deaf: bool = False


@dataclass(frozen=True)
class ContainerdHost(Host):
    """`printed` is what `containerd --version` prints."""

    root: Path = Path("/")
    printed: str = next(iter(RELEASES))
    state: State = field(default_factory=State)

    def has(self, program: str) -> bool:
        return True

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        known = {"containerd": self._containerd, "systemctl": self._systemctl, "ctr": self._ctr}
        self.state.programs.append(command[0])
        return known.get(Path(command[0]).name, self._journalctl)(*command[1:])

    def _containerd(self, *arguments: str) -> Finished:
        if arguments == ("--version",):
            return Finished(0, self.printed)
        return Finished(0, "\n".join([*self.state.complaints, dumped(Path(arguments[1]), self.printed)]))

    def _systemctl(self, *arguments: str) -> Finished:
        if arguments[0] == "restart":
            file = self.path(containerd_versions.PATH)
            level = _values(file).get("debug", {}).get("level") if file.exists() else ""
            self.state.restarts += 1
            self.state.started = monotonic()
            self.state.log = [INFO, *self.state.complaints]
            self.state.log += [DEBUG] if level == "debug" and not self.state.deaf else []
        service = f"LoadState=loaded\nActiveState=active\nMainPID={NOBODY}\n"
        return Finished(0, f"{service}ExecMainStartTimestampMonotonic={self.state.started}\n")

    def _ctr(self, *_: str) -> Finished:
        rows = [each.rpartition(".") for each in RELEASES[self.printed].plugins]
        return Finished(0, "".join(f"{kind}  {name}  -  {self._plugin(f'{kind}.{name}')}\n" for kind, _, name in rows))

    def _plugin(self, name: str) -> str:
        return "error" if name in self.state.failed else "ok"

    def _journalctl(self, *_: str) -> Finished:
        return Finished(0, "\n".join(self.state.log))


def dumped(file: Path, printed: str) -> str:
    """What `config dump` makes of a file: our keys, moved to the tables of the containerd's own version."""
    values, release = _values(file), RELEASES[printed]
    dialect = next(each for each in release.dialects if each.version == values["version"])
    shown: dict[str, Any] = {}
    names = toml_text.find(values, (*dialect.registry, "configs")) or {}
    logins = tuple(RegistryLogin(each, "", "") for each in names)
    # The downloads are in another table where there are logins of ours.
    for keys in (Wanted("/x", 1, True), Wanted("/x", 1, True, logins=logins)):
        for (path, _), (own, _) in zip(keys.settings(dialect), keys.settings(release.own), strict=True):
            value = (toml_text.find(values, path[:-1]) or {}).get(path[-1])
            if value is not None:
                toml_text.put(shown, own, value, "dump")
    return tomlkit.dumps(json.loads(json.dumps(shown)))


def on_disk(host: Host) -> dict[str, bytes]:
    """Everything in /etc of the host."""
    return {str(path.relative_to(host.root)): path.read_bytes() for path in _files(host.root / "etc")}


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _values(file: Path) -> dict[str, Any]:
    return toml_text.parsed(toml_text.decoded(file.read_bytes(), str(file)), str(file)).unwrap()
