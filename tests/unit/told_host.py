"""A host that is only told of: its files, and what its programs and its dockerd answer.

A case is data (tests/cases/doctor/runtimes.yaml): `files`, `programs` (a command's beginning, and what it prints; with
a status before it where that is not 0), `services` (active where it is not said), `info` (dockerd's GET /info).
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hostctl import docker_api
from hostctl.docker_api import Answer
from hostctl.host import Finished, Host
from hostctl.systemd import monotonic

PID = 2**22 + 1
"""A process id that the kernel never gives."""
NOW = 0
"""A process that has started after every file was written."""


@dataclass(frozen=True)
class ToldHost(Host):
    """`called`: the commands that were run. `started`: when the services did, in microseconds before now."""

    root: Path = Path("/")
    programs: dict[str, Any] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    started: int = NOW
    called: list[str] = field(default_factory=list)

    def has(self, program: str) -> bool:
        return any(each.split()[0] == program for each in self.programs)

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        line = shlex.join(command)
        self.called.append(line)
        if command[:2] == ("systemctl", "show"):
            return Finished(0, self._shown(command[-1].removesuffix(".service")))
        told = next((told for begins, told in self.programs.items() if line.startswith(begins)), "")
        return Finished(*told) if isinstance(told, list) else Finished(0, told)

    def _shown(self, service: str) -> str:
        active = self.services.get(service, "active")
        pid = PID if active == "active" else 0
        started = monotonic() - self.started + 10**6
        return f"LoadState=loaded\nActiveState={active}\nMainPID={pid}\nExecMainStartTimestampMonotonic={started}\n"


def told(tmp_path: Path, case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> ToldHost:
    """The host of a case."""
    for name, text in (case.get("files") or {}).items():
        path = Host(tmp_path).path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def call(*_: object, **__: object) -> Answer:
        return Answer(200, json.dumps(case["info"]).encode())

    monkeypatch.setattr(docker_api, "call", call)
    return ToldHost(tmp_path, case.get("programs") or {}, case.get("services") or {}, case.get("started", NOW))
