"""Authorities that the system trusts since after the runtime was started: Go reads the system's store once."""

from __future__ import annotations

from typing import Tuple

from doctor.steps.stopped import started_at
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.systemd import service
from hostctl.trust_store import STORES


def unread(host: Host, runtime: str) -> Tuple[str, ...]:
    """The files of such authorities, those that packages bring left out; none where nobody can tell."""
    try:
        known = service(host, runtime)
    except HostError:
        return ()
    return newer(host, started_at(known)) if known.runs else ()


def newer(host: Host, since: float) -> Tuple[str, ...]:
    """The authorities that an admin has added to the host's store after a time, in seconds since 1970."""
    return tuple(
        str(path)
        for store in STORES
        for path in sorted(host.path(store.folder).glob(f"*{store.suffix}"))
        if path.stat().st_ctime > since
    )
