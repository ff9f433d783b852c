"""What the service nginx needs because of us: a folder for inner sockets and short-lived caches, and an environment.

The folder is a RuntimeDirectory, so systemd takes it away whenever nginx ends, however it ends: a socket that a killed
nginx left behind would keep the next one from starting. Only root and nginx's workers can enter it: systemd gives it,
at each start and reload, to the service's Group, which becomes the workers'; the main process stays root.
"""

from __future__ import annotations

import os
import socket
from pathlib import PurePosixPath
from typing import List, Mapping, Optional, Sequence

from hostctl.files import FileState
from hostctl.host import Host
from hostctl.nginx_conf import DROP_IN, OPENSSL_CONF, RUN
from hostctl.unit import HEADER, Change, OwnFile

MODE = 0o710


def drop_in(group: int, lines: Sequence[str]) -> OwnFile:
    """The service's drop-in. `group`: the workers' id. `lines`: more of its section [Service]."""
    own = [
        f"RuntimeDirectory={PurePosixPath(RUN).name}",
        f"RuntimeDirectoryMode={MODE:04o}",
        f"Group={group}",
        *lines,
    ]
    text = f"# {HEADER}\n[Service]\n" + "".join(f"{line}\n" for line in own)
    return OwnFile(DROP_IN, FileState(text.encode()))


def environment(state: Optional[FileState]) -> Mapping[str, str]:
    """The variables that a drop-in sets: a running nginx has those of when it was started."""
    lines = state.content.decode().splitlines() if state else []
    pairs = [line.partition("=")[2].partition("=") for line in lines if line.startswith("Environment=")]
    return {name: value for name, _, value in pairs}


def needs_restart(change: Change) -> bool:
    """Whether a running nginx has to be started anew for the change: it reads OpenSSL's configuration only once."""
    before, after = (
        (dict(environment(each.get(DROP_IN))), each.get(OPENSSL_CONF)) for each in (change.before, change.after)
    )
    return before != after


def make_folder(host: Host, group: int) -> List[str]:
    """The folder for an nginx that was started without it. Returns it if it was not there."""
    folder = host.path(RUN)
    if folder.exists():
        return []
    folder.mkdir(mode=MODE)
    os.chown(folder, 0, group)
    folder.chmod(MODE)
    return [RUN]


def remove_dead_sockets(host: Host) -> None:
    """Sockets in the folder where nobody listens: a reload that failed half way leaves those of its new servers behind,
    and the next one could not have them."""
    for path in host.path(RUN).glob("*.sock"):
        with socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            try:
                client.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
            except OSError:
                pass  # it lives, and has much to do
