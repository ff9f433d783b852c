"""The origin service, which fetches what nginx has not cached: whether it answers nginx."""

from __future__ import annotations

from typing import Iterator

from doctor.finding import Finding
from doctor.server import log_tail
from doctor.server.http_asking import said, why
from doctor.server.served import Served, endpoints
from hostctl.host import Host
from hostctl.units.origin import SERVICE, SOCKET
from hostctl.unix_http import UnixConnection

SECONDS = 4.0


def look(host: Host, served: Served) -> Iterator[Finding]:
    """Its own question, as a miss of nginx asks it: systemd starts it where it does not run yet."""
    names = [each["registry"] for each in served["caches"] if each["origin"]]
    if not names:
        return
    try:
        status = said(UnixConnection(str(host.path(SOCKET)), SECONDS), "/", {}).status
        if status == 200:
            return
        evidence = f"{SOCKET}: status {status}"
    except OSError as failure:
        evidence = f"connect() to unix:{SOCKET} failed: {why(failure)}"
    last = log_tail.newest(log_tail.journal(host, f"{SERVICE}.service"), r"\S")
    broken = " ".join(endpoints(served, name) for name in names)
    yield Finding(
        "origin-down", SOCKET, f"{evidence}; its journal: {last}" if last else evidence, {"endpoints": broken}
    )
