"""Accounts of the host, and work in their homes: done with their rights, never with root's.

What is a file in somebody's folder is a link a moment later, and a write that root does there can be led anywhere. So
root takes on the account's effective ids for as long as it works there: whatever the owner puts in the way, nothing
can be read or written that the owner couldn't. New files and folders are the account's by that, and a home on NFS,
where root is nobody, works too.
"""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager
from typing import Iterator, NamedTuple, Tuple

from hostctl.errors import HostError

PRIVATE = 0o077
"""The umask in a home: its folders and files are for the account alone."""


class Account(NamedTuple):
    """An account as the host's name services know it: /etc/passwd, LDAP and others."""

    name: str
    uid: int
    gid: int
    home: str

    @property
    def prefix(self) -> Tuple[str, ...]:
        """What stands before a command that is to run as this account; there is no way back to root for it."""
        if os.geteuid() != 0 or self.uid == 0:
            return ()
        return ("setpriv", f"--reuid={self.name}", f"--regid={self.gid}", "--init-groups")


def account(name: str) -> Account:
    """An account by name. Raises HostError where the host has none of that name."""
    try:
        found = pwd.getpwnam(name)
    except (KeyError, ValueError) as unknown:
        raise HostError(
            f"{name}: this host has no such account ('getent passwd {name}'); create it, or take it out of the stack"
        ) from unknown
    return Account(found.pw_name, found.pw_uid, found.pw_gid, found.pw_dir)


@contextmanager
def acting_as(who: Account) -> Iterator[None]:
    """Have the account's effective ids and groups, and a private umask. Not to be nested.

    Programs must not be run meanwhile: they could take root's ids on again.
    """
    umask = os.umask(PRIVATE)
    try:
        if os.geteuid() != 0 or who.uid == 0:
            yield
            return
        groups, gid = os.getgroups(), os.getegid()
        try:
            os.initgroups(who.name, who.gid)
            os.setegid(who.gid)
            os.seteuid(who.uid)
            yield
        finally:
            os.seteuid(0)
            os.setegid(gid)
            os.setgroups(groups)
    finally:
        os.umask(umask)
