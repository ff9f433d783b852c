"""A host with a fake BuildKit daemon: it reads buildkitd.toml at a restart, and misbehaves when told to."""

from __future__ import annotations

import shlex
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostctl.host import Finished, Host
from hostctl.systemd import monotonic

NOBODY = 2**22 + 1
"""A process id that the kernel never gives."""
STOPPED = 'buildkitd: unsupported log type "http-registry-check"\nmain.main.func3\n'


@dataclass
class State:
    """What the fake remembers, and how it is: `programs` that are installed, the service's `load` and `active` states
    and its `command`; `refuses` to start while its file has that text."""

    programs: tuple[str, ...] = ("buildkitd",)
    load: str = "loaded"
    active: str = "active"
    command: str = "/usr/local/bin/buildkitd"
    started: int = 0
    restarts: list[str] = field(default_factory=list)
    read: bytes | None = None
    refuses: bytes | None = None


@dataclass(frozen=True)
class BuildkitHost(Host):
    """The service is `buildkit`; there is no other."""

    root: Path = Path("/")
    config: str = "/etc/buildkit/buildkitd.toml"
    state: State = field(default_factory=State)

    def has(self, program: str) -> bool:
        return Path(program).name in self.state.programs

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        known = {"systemctl": self._systemctl, "buildkitd": self._buildkitd, "docker": self._docker}
        return known.get(Path(command[0]).name, self._journalctl)(*command[1:])

    def on_disk(self) -> bytes | None:
        """The file."""
        path = self.path(self.config)
        return path.read_bytes() if path.exists() else None

    def put(self, text: bytes) -> None:
        """Write the file as somebody else."""
        self.path(self.config).parent.mkdir(parents=True, exist_ok=True)
        self.path(self.config).write_bytes(text)

    def _systemctl(self, *arguments: str) -> Finished:
        state, name = self.state, arguments[-1].removesuffix(".service")
        if arguments[0] == "restart":
            state.restarts.append(name)
            state.read, state.started = self.on_disk(), monotonic()
            state.active = "failed" if state.refuses is not None and state.refuses in (state.read or b"") else "active"
        if name != "buildkit":
            return Finished(0, "LoadState=not-found\nActiveState=inactive\nMainPID=0\n")
        pid = NOBODY if state.active == "active" else 0
        if "ExecStart,Environment,EnvironmentFiles" in arguments:
            path = shlex.split(state.command)[0]
            return Finished(0, f"ExecStart={{ path={path} ; argv[]={state.command} ; ignore_errors=no ; x }}\n")
        return Finished(
            0,
            f"LoadState={state.load}\nActiveState={state.active}\nMainPID={pid}\n"
            f"ExecMainStartTimestampMonotonic={state.started}\n",
        )

    def _buildkitd(self, *arguments: str) -> Finished:
        text = Path(arguments[arguments.index("--config") + 1]).read_text()
        return Finished(1, f"buildkitd: {wrong}\nfailed to parse config\n" if (wrong := _wrong(text)) else STOPPED)

    def _journalctl(self, *_: str) -> Finished:
        return Finished(0, "")

    def _docker(self, *_: str) -> Finished:
        return Finished(0 if "buildx" in self.state.programs else 1, "")


def _wrong(text: str) -> str | None:
    worker: dict[str, Any] = tomllib.loads(text).get("worker", {})
    return None if isinstance(worker, dict) else "toml: cannot decode TOML integer into struct field worker"
