"""The program as systemd runs it: the socket, the configuration, the end.

Socket: sd_listen_fds(3), LISTEN_FDS and LISTEN_PID. Configuration: standard input, a file that systemd opens and that
this service's user could not. Ready: sd_notify(3). On SIGTERM it takes no more connections and ends when all that runs
has ended; who comes meanwhile waits in the socket, which is systemd's, for the next one to start.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Sequence

from origin import config
from origin.service import Service, log

FIRST_SOCKET = 3
FINISH_SECONDS = 30.0


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM, or with `--check FILE` only read a configuration. Status 1: it can't be used."""
    try:
        if len(arguments) == 2 and arguments[0] == "--check":
            config.read(Path(arguments[1]).read_text(encoding="utf-8"))
            return 0
        if arguments:
            raise config.ConfigError("arguments: there are none but --check FILE")
        service = Service(config.read(sys.stdin.buffer.read().decode(errors="replace")))
        listener = _listener()
    except (config.ConfigError, OSError) as wrong:
        log(str(wrong))
        return 1
    stop, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    _notify("READY=1")
    service.serve(listener, stop)
    if not service.finish(FINISH_SECONDS):
        log(f"transfers that did not end within {FINISH_SECONDS:g} s were cut off")
    sys.stderr.flush()
    os._exit(0)  # threads of what was cut off would keep it


def _listener() -> socket.socket:
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        raise config.ConfigError("this service is started by systemd, with one socket (http-registry-origin.socket)")
    os.set_inheritable(FIRST_SOCKET, False)
    return socket.socket(fileno=FIRST_SOCKET)


def _notify(state: str) -> None:
    place = os.environ.get("NOTIFY_SOCKET")
    if place:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.connect(f"\0{place[1:]}" if place[0] == "@" else place)
            systemd.send(state.encode())
