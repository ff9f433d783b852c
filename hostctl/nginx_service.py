"""What the service nginx needs because of us: a folder for inner sockets and short-lived caches, many open files, an
environment; and it is started again when it dies.

The folder is a RuntimeDirectory, so systemd takes it away whenever nginx ends, however it ends: a socket that a killed
nginx left behind would keep the next one from starting. Only root and nginx's workers can enter it: systemd gives it,
at each start and reload, to the service's Group, which becomes the workers'; the main process stays root.
"""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path, PurePosixPath
from typing import List, Mapping, Optional, Sequence

from hostctl.files import FileState
from hostctl.host import Host
from hostctl.nginx_conf import DROP_IN, OPEN_FILES, OPENSSL_CONF, RUN, first
from hostctl.unit import HEADER, Change, OwnFile

MODE = 0o710


def drop_in(group: int, lines: Sequence[str]) -> OwnFile:
    """The service's drop-in. `group`: the workers' id. `lines`: more of its section [Service]."""
    own = [
        f"RuntimeDirectory={PurePosixPath(RUN).name}",
        f"RuntimeDirectoryMode={MODE:04o}",
        f"Group={group}",
        f"LimitNOFILE={OPEN_FILES}",
        "Restart=on-failure",
        *lines,
    ]
    text = f"# {HEADER}\n[Service]\n" + "".join(f"{line}\n" for line in own)
    return OwnFile(DROP_IN, FileState(text.encode()))


def may_open_many(host: Host, main: str) -> bool:
    """Whether workers may have OPEN_FILES open: the main file's text does not say less, and root may allow it here."""
    limit = first(main, "worker_rlimit_nofile")
    if limit and not (limit[0].isdigit() and int(limit[0]) >= OPEN_FILES):
        return False
    return host.offers("open_files", _root_may_open_many)


def _root_may_open_many() -> bool:
    try:
        allow_open_files(os.getpid())
    except PermissionError:  # a machine that is itself a container may have a lower limit for all
        return False
    return True


def allow_open_files(pid: int) -> None:
    """What the drop-in allows, for a main process that was started without it: its next workers have it too.

    Raises PermissionError where this machine allows less.
    """
    before = os.getgid()
    # prlimit(2): a root without CAP_SYS_RESOURCE, as in a container, must be of the process's group.
    os.setregid(Path(f"/proc/{pid}").stat().st_gid, -1)
    try:
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        if soft < OPEN_FILES:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (OPEN_FILES, max(hard, OPEN_FILES)))
    finally:
        os.setregid(before, -1)


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
