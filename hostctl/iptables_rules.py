"""A policy as rule sets for iptables-restore and ip6tables-restore.

The guard stands in the mangle table's PREROUTING: before Docker's DNAT a packet still names the port that its sender
asked for, so one rule covers host processes, host networking and published ports; and neither Docker nor ufw writes
there. Who routes to a container's own address asks no published port: FORWARD decides about that.
Options stand in the order in which `iptables -S` prints them.
"""

from __future__ import annotations

from typing import Iterator, List, Sequence

from hostctl.firewall_rules import DOCKER_BRIDGES, OWN_BRIDGE, Policy
from hostctl.unit import HEADER

PREROUTING_CHAIN, GUARD_CHAIN, FORWARD_CHAIN = "HTTP-REGISTRY", "HTTP-REGISTRY-GUARD", "HTTP-REGISTRY-FORWARD"
FILES = {4: "/etc/http-registry/firewall.v4", 6: "/etc/http-registry/firewall.v6"}
"""The rule sets' files by family."""
PORTS_IN_A_RULE = 15
"""The multiport match takes no more."""


def render(policy: Policy, family: int) -> str:
    """The rule set of one family; without the jumps to its chains, whose place only the host knows."""
    chains = (PREROUTING_CHAIN, GUARD_CHAIN, FORWARD_CHAIN)
    lines = [
        f"# {HEADER}",
        "*mangle",
        *(f":{chain} - [0:0]" for chain in chains),
        *(f"-A {PREROUTING_CHAIN} {each}" for each in _prerouting(policy, family)),
        *(f"-A {GUARD_CHAIN} {each}" for each in _guard(policy, family)),
        *(f"-A {FORWARD_CHAIN} {each}" for each in _forward(policy, family)),
        "COMMIT",
    ]
    return "".join(f"{line}\n" for line in lines)


def _prerouting(policy: Policy, family: int) -> Iterator[str]:
    yield "-i lo -j RETURN"
    if family == 4:
        # Docker < 28 sends what a neighbour routes to 127.0.0.1 into the container published there (moby#45610).
        yield "-d 127.0.0.0/8 -j DROP"
    for interface, ports in policy.judged():
        for each in _ports(ports):
            yield f"{_in(interface)}{each} -m addrtype --dst-type LOCAL -j {GUARD_CHAIN}"


def _guard(policy: Policy, family: int) -> Iterator[str]:
    # An answer to a connection of the host's own may come back to a port that is guarded for others.
    yield "-m conntrack --ctdir REPLY -j RETURN"
    yield "-m addrtype --src-type LOCAL -j RETURN"
    for rule in policy.rules:
        for network in rule.networks(family):
            for each in _ports(rule.ports):
                yield f"{_from(network)}{_in(rule.interface)}{each} -j RETURN"
    if policy.containers:
        yield from (f"-i {each} -j DROP" for each in policy.others)
        yield from (f"-i {each}+ -j RETURN" for each in DOCKER_BRIDGES)
        yield f"-i {OWN_BRIDGE} -j RETURN"
    yield "-j DROP"


def _forward(policy: Policy, family: int) -> Iterator[str]:
    yield "-m conntrack --ctdir REPLY -j RETURN"
    yield "-m conntrack --ctstate DNAT -j RETURN"
    yield f"-i {OWN_BRIDGE} -j RETURN"
    yield f"-o {OWN_BRIDGE} -j DROP"
    yield from (f"{_from(each)}-j RETURN" for each in policy.common(family))
    yield from (f"-o {each} -j RETURN" for each in policy.others)
    yield from (f"-i {each} -o {bridge}+ -j DROP" for each in policy.others for bridge in DOCKER_BRIDGES)
    # Only Docker's bridges open connections into Docker's bridges, and theirs go anywhere.
    yield from (f"-i {bridge}+ -j RETURN" for bridge in DOCKER_BRIDGES)
    yield from (f"-o {bridge}+ -j DROP" for bridge in DOCKER_BRIDGES)


def _ports(ports: Sequence[int]) -> List[str]:
    starts = range(0, len(ports), PORTS_IN_A_RULE)
    lists = (",".join(map(str, ports[start : start + PORTS_IN_A_RULE])) for start in starts)
    return [f"-p tcp -m multiport --dports {each}" for each in lists]


def _from(network: str) -> str:
    """`-S` does not print the network that everybody is in."""
    return "" if network.endswith("/0") else f"-s {network} "


def _in(interface: str) -> str:
    return f"-i {interface} " if interface else ""
