"""Who nginx's workers are: the `user` directive's account, else the one that nginx was built with; and which of them
take connections.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Callable, Optional, Sequence, Set

from hostctl import nginx_conf
from hostctl.errors import HostError
from hostctl.homes import Account
from hostctl.host import Host
from hostctl.waiting import wait_until

PATIENCE = 5.0
TITLE, ENDING = b"nginx: worker process", b"is shutting down"
"""How nginx calls a worker, and one that takes no connection any more (ngx_process_cycle.c)."""


def worker_user(host: Host, main: str, build: str) -> str:
    """The account, given the main file's text and what `nginx -V` prints. Raises HostError where there is none."""
    user = _named(main, build)[0]
    return _account(host, user).name


def worker_group(host: Host, main: str, build: str) -> int:
    """The number of their group. Raises HostError where there is none."""
    named = _named(main, build)
    # Without a group nginx takes the one of the user's name.
    number = host.group(named[1] if len(named) > 1 and named[1] else named[0])
    return _account(host, named[0]).gid if number is None else number


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


def _account(host: Host, user: str) -> Account:
    try:
        return host.account(user)
    except HostError as unknown:
        raise HostError(f"nginx's workers run as {user}, a user that this host does not have") from unknown


def _built_in(build: str, name: str) -> str:
    found = re.search(rf"--{name}=(\S+)", build)
    return found[1] if found else ""
