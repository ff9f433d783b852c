"""The origin service as systemd runs it: a process of its own with a unix socket that outlives it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostctl.unix_http import UnixConnection

PROGRAM = Path(__file__).parents[2] / "origin"
START = 'exec 3<&0 <"$1"; shift; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'


@dataclass
class Got:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["errors"][0]["code"])


@dataclass
class Origin:
    """The service in a folder, with the registries of its configuration."""

    folder: Path
    registries: dict[str, dict[str, Any]]
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.socket = self.folder / "origin.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket))
        self._listener.listen(512)
        self.start()

    def start(self) -> None:
        data = {"generation": "g1", "registries": self.registries}
        (self.folder / "origin.json").write_text(json.dumps(data))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", START, "sh", f"{self.folder}/origin.json", sys.executable, "-I", "-B", str(PROGRAM)],
                stdin=self._listener.fileno(),
                stderr=log,
                env={**os.environ, **self.environment},
            )

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)
        self._listener.close()

    def connection(self) -> UnixConnection:
        return UnixConnection(str(self.socket), 20)

    def ask(self, path: str, method: str = "GET", **headers: str) -> Got:
        """One request on a connection of its own. Raises http.client.IncompleteRead where the body breaks off."""
        connection = self.connection()
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return Got(answer.status, dict(answer.headers), answer.read())
        finally:
            connection.close()
