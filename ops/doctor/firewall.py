"""Which questions of the firewalls doctor asks, on the server and on the client. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from settings.tier import OWN_PORTS, Tier


def clients(tier: Tier, host: str, only: str = "") -> list[dict[str, Any]]:
    """Who asks which ports of a host that serves: each runtime's host, or `only` one of them."""
    return [
        {"name": each.name, "address": each.address, "asks": asks}
        for each in tier.hosts
        if each.name in {runtime.host for runtime in tier.runtimes} and only in ("", each.name)
        for asks in [list(_asks(tier, host, each.address))]
        if asks
    ]


def _asks(tier: Tier, host: str, address: str) -> Iterator[dict[str, Any]]:
    """The places of that host where the settings lead a runtime: the mirrors, and the hosted registries."""
    for name, port in dict.fromkeys(map(place, [*tier.mirrors().values(), *tier.hosted()])):
        if serves(tier, name, port) == host:
            yield {"name": name, "port": port, "allowed": allowed(tier, host, address, port)}


def place(url: str) -> tuple[str, int]:
    """The name and port of a URL."""
    parts = urlsplit(url)
    assert parts.hostname
    return parts.hostname, parts.port or OWN_PORTS[parts.scheme]


def serves(tier: Tier, name: str, port: int) -> str:
    """The host that answers there."""
    if tier.proxy and any((each.server_name, each.port) == (name, port) for each in tier.proxy.endpoints):
        return tier.proxy.host
    return next(each.host for each in tier.registries if tier.host(each.host).address == name and each.port == port)


def allowed(tier: Tier, host: str, address: str, port: int) -> bool:
    """Whether the settings let an address in. A name is not looked up here: it counts as let in."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return True
    rules = [rule for rule in tier.firewall_rules(host) if port in rule.ports]
    return any(known in ipaddress.ip_network(network) for rule in rules for network in rule.allow)
