"""What is asked of the host that serves: its nginx, its registries and what is behind them, its disk, its firewall."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Mapping

from doctor.finding import OK, SKIPPED, Seen, broken
from doctor.server import certificates, firewall, nginx, origin, passwords, registries, storage, upstreams
from doctor.server.served import Look
from hostctl.errors import described
from hostctl.host import Host

PARTS: Dict[str, Look] = {
    "nginx": nginx.look,
    "passwords": passwords.look,
    "certificates": certificates.look,
    "registries": registries.look,
    "origin": origin.look,
    "upstreams": upstreams.look,
    "storage": storage.look,
    "firewall": firewall.look,
}


def look(host: Host, served: Mapping[str, Any]) -> List[Seen]:
    """What each part of the server says; `served`: what `ops.doctor_server.served` has asked for.

    All at once: one that waits for a dead upstream holds up no other.
    """
    with ThreadPoolExecutor(len(PARTS)) as pool:
        asked = [pool.submit(_guarded, name, part, host, served) for name, part in PARTS.items()]
    return [seen for each in asked for seen in each.result()]


def _guarded(name: str, part: Callable[..., Any], host: Host, served: Mapping[str, Any]) -> List[Seen]:
    try:
        findings = list(part(host, served))
    except Exception as failure:  # of a part that can't be asked the others are told all the same
        return [Seen(name, SKIPPED, described(failure))]
    return [broken(name, each) for each in findings] or [Seen(name, OK, "as it should be")]
