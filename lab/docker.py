"""The Docker that carries the lab, through its command line client."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from lab.paths import lab_dir
from lab.process import LabError, run, succeeds

DEFAULT_SOCKET = Path("/var/run/docker.sock")


@dataclass(frozen=True)
class Docker:
    """A Docker daemon on a socket of this machine."""

    socket: Path
    own: bool
    """Whether the lab started this daemon, and so may stop it."""

    @property
    def env(self) -> dict[str, str]:
        """The environment for a Docker client of this daemon."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")}
        return {**kept, "DOCKER_HOST": f"unix://{self.socket}"}

    def __call__(self, *args: str, stdin: str | None = None, timeout: float | None = None) -> str:
        """Run `docker ARGS…` and return its stdout."""
        what = f"docker {args[0]}"
        return run(["docker", *args], what=what, env=self.env, stdin=stdin, timeout=timeout)

    def ok(self, *args: str) -> bool:
        """Whether `docker ARGS…` succeeds."""
        return succeeds(["docker", *args], env=self.env)


def own_socket() -> Path:
    """The socket of the daemon that the lab starts itself."""
    return lab_dir() / "docker.sock"


def answers(path: Path) -> bool:
    """Whether a Docker daemon answers on the socket."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(path))
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in client.recv(64)
    except OSError:
        return False


def running() -> Docker | None:
    """The Docker to use when one runs: the lab's own, that of DOCKER_HOST, or the machine's."""
    if answers(own_socket()):
        return Docker(own_socket(), own=True)
    given = os.environ.get("DOCKER_HOST")
    if given:
        path = Path(given.removeprefix("unix://"))
        if not given.startswith("unix://") or not answers(path):
            raise LabError(f"DOCKER_HOST={given}: no Docker of this machine answers there. Start it, or unset it.")
        return Docker(path, own=False)
    return Docker(DEFAULT_SOCKET, own=False) if answers(DEFAULT_SOCKET) else None
