"""The endpoint's name: what address this host takes it for."""

from __future__ import annotations

import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from typing import List

from doctor.finding import Seen
from doctor.walk import Walk

PATIENCE = 4.0
"""Seconds that name servers have; glibc asks a dead one for 5."""


def look(walk: Walk) -> Seen:
    """Resolve it. An address besides the settings' is a finding where something breaks there (`Walk.elsewhere`)."""
    if _is_address(walk.name):
        walk.addresses = [walk.name]
        return walk.ok("name", f"{walk.name} is an address")
    pool = ThreadPoolExecutor(1)
    try:
        walk.addresses = pool.submit(_addresses, walk.name).result(PATIENCE)
    except Late:
        return walk.broken("name", "host-name-unknown", f"{walk.name}: the name servers do not answer")
    except OSError as unknown:
        return walk.broken("name", "host-name-unknown", f"{walk.name}: {unknown.strerror or unknown}")
    finally:
        pool.shutdown(wait=False)
    shown = ", ".join(walk.addresses)
    wanted = walk.pull.server(walk.endpoint.url).address
    if _is_address(wanted) and wanted not in walk.addresses:
        walk.elsewhere = f"{walk.name} is {shown} on this host, by the settings it is {wanted}"
    return walk.ok("name", f"{walk.name} is {shown}")


def _addresses(name: str) -> List[str]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False
