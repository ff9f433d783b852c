"""Who nginx's workers are: the `user` directive's account, else the one that nginx was built with; and which of them
take connections.
"""

from __future__ import annotations

import grp
import pwd
import re
from pathlib import Path
from typing import Callable, Optional, Sequence, Set

from hostctl import nginx_conf
from hostctl.errors import HostError
from hostctl.waiting import wait_until

PATIENCE = 5.0
TITLE, ENDING = b"nginx: worker process", b"is shutting down"
"""How nginx calls a worker, and one that takes no connection any more (ngx_process_cycle.c)."""


def worker_user(main: str, build: str) -> str:
    """The account, given the main file's text and what `nginx -V` prints. Raises HostError where there is none."""
    user = _named(main, build)[0]
    try:
        return pwd.getpwnam(user).pw_name
    except KeyError as unknown:
        raise _missing(user) from unknown


def worker_group(main: str, build: str) -> int:
    """The number of their group. Raises HostError where there is none."""
    named = _named(main, build)
    try:
        if len(named) > 1 and named[1]:
            return grp.getgrnam(named[1]).gr_gid
        # nginx takes the group of the user's name.
        return grp.getgrnam(named[0]).gr_gid
    except KeyError:
        pass
    try:
        return pwd.getpwnam(named[0]).pw_gid
    except KeyError as unknown:
        raise _missing(named[0]) from unknown


def reload(main: int, signal: Callable[[], object]) -> None:
    """Reload by `signal`; returns once no worker of before takes connections, so that whoever asks then is answered by
    the new configuration. `main`: the main process's id. Raises HostError where they stay.
    """
    before = serving(main)
    signal()

    def complaint() -> Optional[str]:
        return "nginx does not take its new configuration; look at its log" if before & serving(main) else None

    wait_until(complaint, PATIENCE)


def serving(main: int) -> Set[int]:
    """The workers of a main process that take connections."""
    try:
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    except OSError:
        return set()
    return {int(each) for each in children if _serves(Path(f"/proc/{each}/cmdline"))}


def _serves(title: Path) -> bool:
    try:
        words = title.read_bytes()
    except OSError:
        return False
    return words.startswith(TITLE) and ENDING not in words


def _named(main: str, build: str) -> Sequence[str]:
    return nginx_conf.first(main, "user") or (_built_in(build, "user") or "nobody", _built_in(build, "group"))


def _missing(user: str) -> HostError:
    return HostError(f"nginx's workers run as {user}, a user that this host does not have")


def _built_in(build: str, name: str) -> str:
    found = re.search(rf"--{name}=(\S+)", build)
    return found[1] if found else ""
