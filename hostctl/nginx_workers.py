"""Who nginx's workers are: the `user` directive's account, else the one that nginx was built with."""

from __future__ import annotations

import grp
import pwd
import re
from typing import Sequence

from hostctl import nginx_conf
from hostctl.errors import HostError


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


def _named(main: str, build: str) -> Sequence[str]:
    return nginx_conf.first(main, "user") or (_built_in(build, "user") or "nobody", _built_in(build, "group"))


def _missing(user: str) -> HostError:
    return HostError(f"nginx's workers run as {user}, a user that this host does not have")


def _built_in(build: str, name: str) -> str:
    found = re.search(rf"--{name}=(\S+)", build)
    return found[1] if found else ""
