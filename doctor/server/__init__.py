"""What is asked of the host that serves: its nginx, its registries and what is behind them, its disk, its firewall."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
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

SECONDS = 7.0
"""How long they may take: less than the whole answer."""


def look(host: Host, served: Mapping[str, Any]) -> List[Seen]:
    """What each part of the server says; `served`: what `ops.doctor.server.served` has asked for.

    All at once; of one that has not ended after `SECONDS`, only that is said.
    """
    pool = ThreadPoolExecutor(len(PARTS))
    asked = {name: pool.submit(_guarded, name, part, host, served) for name, part in PARTS.items()}
    wait(asked.values(), SECONDS)
    pool.shutdown(wait=False)
    late = [Seen(name, SKIPPED, f"no end within {SECONDS:g} s") for name, each in asked.items() if not each.done()]
    return [seen for each in asked.values() if each.done() for seen in each.result()] + late


def _guarded(name: str, part: Callable[..., Any], host: Host, served: Mapping[str, Any]) -> List[Seen]:
    try:
        findings = list(part(host, served))
    except Exception as failure:  # of a part that can't be asked the others are told all the same
        return [Seen(name, SKIPPED, described(failure))]
    return [broken(name, each) for each in findings] or [Seen(name, OK, "as it should be")]
