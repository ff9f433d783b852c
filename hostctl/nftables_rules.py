"""A policy as a script for `nft -f`: a table of its own for both families, with the rules of `iptables_rules`.

Its chains come before Docker's DNAT and Docker's own forward chain, whose `accept` does not overrule a drop here. The
script takes the earlier table away and makes the new one in one transaction. Text as `nft list` prints it.
"""

from __future__ import annotations

from typing import Iterator, List, Sequence

from hostctl.firewall_rules import DOCKER_BRIDGES, FAMILIES, OWN_BRIDGE, Policy
from hostctl.unit import HEADER

TABLE = "inet http_registry"
FILE = "/etc/http-registry/firewall.nft"
CLEARED = f"table {TABLE}\ndelete table {TABLE}\n"
"""The script that leaves nothing of the table, whether it is there or not."""
PRIORITY = -150
"""That of iptables' mangle table: behind conntrack (-200), before DNAT (-100) and filter (0)."""
MATCHES = {4: ("ip", "ipv4"), 6: ("ip6", "ipv6")}


def render(policy: Policy) -> str:
    """The script."""
    chains = [
        _chain("prerouting", _prerouting(policy), "prerouting"),
        _chain("guard", _guard(policy)),
        _chain("forward", _forward(policy), "forward"),
    ]
    body = "\n".join(chains)
    return f"# {HEADER}\n{CLEARED}table {TABLE} {{\n{body}}}\n"


def _chain(name: str, rules: Iterator[str], hook: str = "") -> str:
    lines = [f"type filter hook {hook} priority {PRIORITY}; policy accept;"] if hook else []
    return f"\tchain {name} {{\n" + "".join(f"\t\t{line}\n" for line in [*lines, *rules]) + "\t}\n"


def _prerouting(policy: Policy) -> Iterator[str]:
    yield 'iifname "lo" counter return'
    # Docker < 28 sends what a neighbour routes to 127.0.0.1 into the container published there (moby#45610).
    yield "ip daddr 127.0.0.0/8 counter drop"
    for interface, ports in policy.judged():
        yield f"{_in(interface)}{_ports(ports)} fib daddr type local counter jump guard"


def _guard(policy: Policy) -> Iterator[str]:
    # An answer to a connection of the host's own may come back to a port that is guarded for others.
    yield "ct direction reply counter return"
    yield "fib saddr type local counter return"
    for rule in policy.rules:
        for family in FAMILIES:
            for network in rule.networks(family):
                yield f"{_in(rule.interface)}{_from(family, network)}{_ports(rule.ports)} counter return"
    if policy.containers:
        yield from (f"{_in(each)}counter drop" for each in policy.others)
        yield from (f"{_in(f'{each}*')}counter return" for each in DOCKER_BRIDGES)
        yield f"{_in(OWN_BRIDGE)}counter return"
    yield "counter drop"


def _forward(policy: Policy) -> Iterator[str]:
    yield "ct direction reply counter return"
    yield "ct status dnat counter return"
    yield f"{_in(OWN_BRIDGE)}counter return"
    yield f"{_out(OWN_BRIDGE)}counter drop"
    for family in FAMILIES:
        yield from (f"{_from(family, network)}counter return" for network in policy.common(family))
    yield from (f"{_out(each)}counter return" for each in policy.others)
    yield from (f"{_in(each)}{_out(f'{bridge}*')}counter drop" for each in policy.others for bridge in DOCKER_BRIDGES)
    # Only Docker's bridges open connections into Docker's bridges, and theirs go anywhere.
    yield from (f"{_in(f'{bridge}*')}counter return" for bridge in DOCKER_BRIDGES)
    yield from (f"{_out(f'{bridge}*')}counter drop" for bridge in DOCKER_BRIDGES)


def _ports(ports: Sequence[int]) -> str:
    listed: List[str] = [str(port) for port in sorted(ports)]
    return f"tcp dport {listed[0]}" if len(listed) == 1 else f"tcp dport {{ {', '.join(listed)} }}"


def _from(family: int, network: str) -> str:
    match, protocol = MATCHES[family]
    return f"meta nfproto {protocol} " if network.endswith("/0") else f"{match} saddr {network} "


def _in(interface: str) -> str:
    return f'iifname "{interface}" ' if interface else ""


def _out(interface: str) -> str:
    return f'oifname "{interface}" '
