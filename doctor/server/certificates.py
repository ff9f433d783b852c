"""The certificates that nginx shows, as far as they end soon. Of those that have ended, clients tell."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterator, List, Mapping

from doctor.finding import Finding
from doctor.server.served import Served
from doctor.shown_certificate import read
from hostctl import certificates
from hostctl.host import Host

DAYS = 30
"""From when on a certificate is near its end: as `make certificates` has it, and the settings' notices."""


def look(host: Host, served: Served) -> Iterator[Finding]:
    """Each file once."""
    now = time.time()
    shown: Dict[str, List[Mapping[str, Any]]] = {}
    for each in served["endpoints"]:
        if each["certificate"]:
            shown.setdefault(each["certificate"], []).append(each)
    for path, endpoints in shown.items():
        file = host.read(path)
        ends = min((end_of(der) for der in certificates.held(file.content)), default=0.0) if file else 0.0
        if now < ends < now + DAYS * 86400:
            when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(ends))
            values = {
                "name": endpoints[0]["name"],
                "port": ", ".join(dict.fromkeys(str(each["port"]) for each in endpoints)),
                "ends": when,
                "days": str(int((ends - now) // 86400)),
            }
            yield Finding("certificate-near-end", path, f"notAfter={when}", values)


def end_of(der: bytes) -> float:
    """When a certificate ends, in seconds since 1970. Raises ValueError for one that can't be read."""
    known = read(der)
    if known is None:
        raise ValueError("a certificate that can't be read")
    return known.ends
