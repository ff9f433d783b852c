"""A host with a dockerd that keeps its configuration in memory and takes daemon.json over as moby's does.

What it does with SIGHUP and with a start is what was seen of Engine 20.10.24, 28.5.2 and 29 (docs/docker.md). It
answers on a Unix socket; `systemctl`, `journalctl` and `dockerd` are functions.
"""

from __future__ import annotations

import json
import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from hostctl import docker_api
from hostctl.daemon_json import DEBUG, DOWNLOADS, INSECURE, MIRRORS, PATH
from hostctl.docker_engine import LOOPBACK, STORE
from hostctl.docker_flags import excluded, flags
from hostctl.host import Finished, Host
from hostctl.systemd import Service

COMMAND = "-H fd:// --containerd=/run/containerd/containerd.sock"


@dataclass
class Docker:
    """One host's Docker. `options`: what /etc/default/docker adds to its command; `process`: what it started with."""

    host: Host
    version: str = "20.10.24+dfsg1"
    store: bool = False
    options: str = ""
    active: str = "active"
    containers: int = 0
    live_restore: bool = False
    process: list[str] = field(default_factory=list)
    live: dict[str, Any] = field(default_factory=dict)
    journal: list[str] = field(default_factory=list)
    reloads: list[float] = field(default_factory=list)
    starts: int = 0
    program: str = "/usr/sbin/dockerd"

    def set_options(self, options: str) -> None:
        """Write /etc/default/docker; it counts at the next start."""
        self.options = options
        self.host.path("/etc/default/docker").write_text(f'# Debian\nDOCKER_OPTS="{options}"\n')

    def start(self) -> bool:
        """Take the whole file, or refuse."""
        self.process = shlex.split(f"{COMMAND} {self.options}")
        self.starts += 1
        text = self._file()
        self.active = "failed" if excluded(text, flags(self.process)) else "active"
        self.live = {MIRRORS: [], INSECURE: list(LOOPBACK), DEBUG: False, DOWNLOADS: 3, **text}
        return self.active == "active"

    def restart(self) -> bool:
        """Stop the containers that live-restore does not keep, and start."""
        self.containers = self.containers if self.live_restore else 0
        return self.start()

    def reload(self) -> None:
        """SIGHUP: an absent list, or debug, stays as it was; a key that is a flag too is refused."""
        text = self._file()
        clash = excluded(text, flags(self.process))
        if clash or "no-such-key" in text:
            reason = "are specified both as a flag and in the configuration file" if clash else "don't match any"
            self.journal.append(f'level=error msg="Error reloading configuration" error="the directives {reason}"')
            return
        self.live = {**self.live, DOWNLOADS: 3, **text}
        self.reloads.append(time.time())

    def info(self) -> dict[str, Any]:
        """GET /info. Where the file has the list, Engine 29.10 takes loopback for insecure only if it is there."""
        insecure = self.live[INSECURE] + ([] if self.version.startswith("29.10") else list(LOOPBACK))
        return {
            "ServerVersion": self.version,
            "DriverStatus": [STORE] if self.store else [["Backing Filesystem", "extfs"]],
            "Debug": self.live[DEBUG],
            "LiveRestoreEnabled": self.live_restore,
            "ContainersRunning": self.containers,
            "RegistryConfig": {
                "Mirrors": [each.rstrip("/") + "/" for each in self.live[MIRRORS]] or None,
                "IndexConfigs": {name: {"Secure": False} for name in insecure if "/" not in name},
                "InsecureRegistryCIDRs": sorted({name for name in insecure if "/" in name}),
            },
        }

    def run(self, *command: str, **_: Any) -> Finished:
        """Stands in for Host.run."""
        match command:
            case ["systemctl", "show", "-p", properties, _] if properties.startswith("ExecStart,"):
                start = f"{{ path={self.program} ; argv[]={self.program} {COMMAND} $DOCKER_OPTS ; ignore_errors=no ; }}"
                return Finished(
                    0, f"ExecStart={start}\nEnvironment=\nEnvironmentFiles=/etc/default/docker (ignore_errors=yes)\n"
                )
            case ["systemctl", "show", *_]:
                pid = 1 if self.active == "active" else 0
                return Finished(0, f"LoadState=loaded\nActiveState={self.active}\nMainPID={pid}\n")
            case ["systemctl", "kill", *_]:
                self.reload()
                return Finished(0, "")
            case ["systemctl", "restart", *_]:
                return Finished(0 if self.restart() else 1, "")
            case ["journalctl", *_]:
                return Finished(0, "\n".join(self.journal))
            case [_, "--version"]:
                return Finished(0, f"Docker version {self.version}, build 5d6db84\n")
            case [_, *arguments, "--validate", config]:
                return self._validate(arguments, Path(config.partition("=")[2]))
        return Finished(0, "")

    def _validate(self, arguments: list[str], config: Path) -> Finished:
        if self.version < "23":
            return Finished(125, "unknown flag: --validate")
        text = json.loads(config.read_text())
        refused = excluded(text, flags(arguments)) or "no-such-key" in text
        return Finished(1, f"{config}: no") if refused else Finished(0, "configuration OK")

    def _file(self) -> Any:
        path = self.host.path(PATH)
        return json.loads(path.read_text() or "{}") if path.exists() else {}


class _Api(ThreadingUnixStreamServer):
    daemon_threads = True
    docker: Docker


class _Handler(BaseHTTPRequestHandler):
    server: _Api

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def address_string(self) -> str:
        return ""

    def do_GET(self) -> None:
        docker = self.server.docker
        if urlsplit(self.path).path == "/info":
            body = json.dumps(docker.info())
        else:
            told = {"Actor": {"Attributes": {DOWNLOADS: str(docker.live[DOWNLOADS])}}}
            body = json.dumps(told) if docker.reloads else ""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


@contextmanager
def answering(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    """The host with its Docker started."""
    socket = docker.host.path(docker_api.SOCKET)
    for folder in (socket.parent, docker.host.path("/etc/docker"), docker.host.path("/etc/default")):
        folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(Host, "run", lambda _, *command, **more: docker.run(*command, **more))
    monkeypatch.setattr(Host, "has", lambda *_: True)
    monkeypatch.setattr(Service, "arguments", lambda _: docker.process)
    docker.set_options(docker.options)
    if docker.active == "active":
        docker.start()
    with _Api(str(socket), _Handler) as api:
        api.docker = docker
        threading.Thread(target=api.serve_forever, args=(0.01,), daemon=True).start()
        yield docker
        api.shutdown()
