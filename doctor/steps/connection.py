"""The connection: whether this host gets one to the endpoint's port, and why not."""

from __future__ import annotations

import socket
import time
from typing import Optional

from doctor import http_client
from doctor.failures import named
from doctor.finding import Seen
from doctor.server.firewall import Stopped, way_out
from doctor.walk import Walk
from hostctl.errors import HostError


def look(walk: Walk) -> Seen:
    """Connect to the addresses one after the other, as runtimes do; the first that answers is it."""
    failed = []
    for address in walk.addresses:
        began = time.monotonic()
        try:
            socket.create_connection((address, walk.port), http_client.PATIENCE / len(walk.addresses)).close()
        except OSError as each:
            failed.append((address, each))
            continue
        walk.addresses = [address]
        took = (time.monotonic() - began) * 1000
        return walk.ok("connection", f"{address} port {walk.port} answers within {max(took, 1):.0f} ms")
    address, failure = failed[0]
    cause, words = named(failure)
    evidence = f"connect to {address} port {walk.port}: {words}"
    walk.addresses = [address]
    if stopped := _own_rule(walk, address):
        return walk.broken("connection", "firewall-client", f"{evidence}; {stopped.evidence}", stopped.where,
                           undo=stopped.undo)  # fmt: skip
    if cause == "no-route" and (route := _dead_route(walk, address)):
        return walk.broken("connection", "no-route", f"{evidence}; this host has the route '{route}'", route=route)
    return walk.broken("connection", cause, evidence)


def _own_rule(walk: Walk, address: str) -> Optional[Stopped]:
    """What of this host's own rules stops it; None where nothing does, or nobody can tell."""
    try:
        return way_out(walk.host, address, walk.port)
    except (HostError, OSError):
        return None


def _dead_route(walk: Walk, address: str) -> Optional[str]:
    """This host's own route that leads nowhere, as `ip route` prints it."""
    family = "-6" if ":" in address else "-4"
    try:
        for kind in ("unreachable", "blackhole", "prohibit"):
            for line in walk.host.run(
                "ip", family, "route", "show", "type", kind, "match", address
            ).output.splitlines():
                return line.strip()
    except HostError:
        pass
    return None
