"""A connection to a daemon through the `ssh` on PATH, as docker's own connhelper makes it.

`ssh OPTS -o ConnectTimeout=30 -T -l USER -p PORT -- HOST docker system dial-stdio`, without a shell and without a
terminal (docker/cli `cli/connhelper`). Keys, agents and host keys are ssh's business.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import IO, Any
from urllib.parse import urlsplit

from toolchain.plugins.shared.resource import ProviderError

_KEPT_TEXT = 600
"""Characters of ssh's own messages that an error shows."""


def ssh_arguments(host: str, options: Sequence[str]) -> list[str]:
    """The arguments of `ssh` for `ssh://[user@]host[:port][/path of the socket]`."""
    url = urlsplit(host)
    # Not url.hostname, which is in lower case: an alias in ssh's configuration need not be.
    name = re.sub(r":\d*$", "", url.netloc.rpartition("@")[2]).strip("[]")
    if not name:
        raise ProviderError(f"docker: provider: host {host!r} names no host")
    if url.password:
        raise ProviderError("docker: provider: plain-text password is not supported in an ssh:// host")
    if url.query or url.fragment:
        raise ProviderError(f"docker: provider: host {host!r} has more than user, host, port and path")
    arguments = list(options)
    if not any("connecttimeout" in option.lower() for option in options):
        arguments += ["-o", "ConnectTimeout=30"]
    if not any(re.fullmatch(r"-[tT]+", option) for option in options):
        arguments.append("-T")
    if url.username:
        arguments += ["-l", url.username]
    if url.port:
        arguments += ["-p", str(url.port)]
    socket_path = ["--host", f"unix://{url.path}"] if url.path.rstrip("/") else []
    return [*arguments, "--", name, "docker", *socket_path, "system", "dial-stdio"]


class SshDial:
    """Starts one `ssh` a connection. It ends with the connection."""

    def __init__(self, host: str, options: Sequence[str]) -> None:
        self._arguments = ssh_arguments(host, options)
        self._lock = threading.Lock()
        self._running: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []
        self._last_words = ""

    def __call__(self) -> socket.socket:
        """A socket whose other end is the standard input and output of a new `ssh`."""
        program = shutil.which("ssh")
        if program is None:
            raise ProviderError("docker: provider: there is no `ssh` on PATH, which an ssh:// host needs")
        ours, theirs = socket.socketpair()
        # Unnamed and kept open for as long as the process runs.
        errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        with theirs:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [program, *self._arguments],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=errors,
                start_new_session=True,
            )
        with self._lock:
            self._collect()
            self._running.append((process, errors))
        return ours

    def explain(self) -> str:
        """What `ssh` said when a connection broke, else nothing."""
        with self._lock:
            for process, _ in self._running:
                try:
                    process.wait(timeout=0.2)
                except subprocess.TimeoutExpired:
                    continue
            self._collect()
            words, self._last_words = self._last_words, ""
        return words

    def close(self) -> None:
        """End the processes whose connections are closed; they end by themselves when their input does."""
        with self._lock:
            for process, _ in self._running:
                try:
                    process.wait(timeout=1)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            self._collect()

    def _collect(self) -> None:
        """Reap the processes that have ended."""
        still: list[tuple[subprocess.Popen[Any], IO[bytes]]] = []
        for process, errors in self._running:
            if process.poll() is None:
                still.append((process, errors))
                continue
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()[-_KEPT_TEXT:]
            errors.close()
            if process.returncode > 0:
                self._last_words = (
                    f"command {' '.join(['ssh', *self._arguments])} has exited with exit status "
                    f"{process.returncode}, please make sure the URL is valid, and Docker 18.09 or later is "
                    f"installed on the remote host: stderr={said}"
                )
        self._running = still
