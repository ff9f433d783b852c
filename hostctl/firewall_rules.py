"""What a firewall policy says, whichever program carries it out: its rules, and what follows from all of them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Set, Tuple

from hostctl import wishes
from hostctl.errors import HostError
from hostctl.unit import Wish

FAMILIES = (4, 6)
OWN_BRIDGE = "http-registry0"
"""The bridge of the registries' network: reached by the host itself and through published ports only."""
DOCKER_BRIDGES = ("docker", "br-")
"""How the names of Docker's bridges start: docker0, docker_gwbridge, and br- with a network's id."""
INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")


@dataclass(frozen=True)
class Rule:
    """`ports` (TCP) are open to the networks in `allow`; with an `interface` it judges only what comes in there."""

    ports: Tuple[int, ...]
    allow: Tuple[str, ...]
    interface: str = ""

    def networks(self, family: int) -> List[str]:
        """The networks of one family."""
        return [each for each in self.allow if ipaddress.ip_network(each).version == family]

    def to_json(self) -> Dict[str, Any]:
        """The rule as a wish holds it."""
        return {"ports": list(self.ports), "allow": list(self.allow), "interface": self.interface or None}


@dataclass(frozen=True)
class Policy:
    """All rules of a host.

    `containers`: whether the host's containers may ask guarded ports. `others`: the bridges that are named like
    Docker's and are not: whatever goes there is left alone, and what comes from there comes from outside.
    """

    rules: Tuple[Rule, ...]
    containers: bool = False
    others: Tuple[str, ...] = ()

    @property
    def ports(self) -> Set[int]:
        """The guarded ports."""
        return {port for rule in self.rules for port in rule.ports}

    def judged(self) -> List[Tuple[str, List[int]]]:
        """Interfaces (empty: all of them) and the ports that are guarded there, each port once for a packet."""
        everywhere = sorted({port for rule in self.rules if not rule.interface for port in rule.ports})
        found = [("", everywhere)]
        for interface in dict.fromkeys(rule.interface for rule in self.rules if rule.interface):
            ports = {port for rule in self.rules if rule.interface == interface for port in rule.ports}
            found.append((interface, sorted(ports.difference(everywhere))))
        return [(interface, ports) for interface, ports in found if ports]

    def common(self, family: int) -> List[str]:
        """The networks that every rule allows: who routes to a container's own address asks no port that rules name."""
        allowed = [rule.networks(family) for rule in self.rules]
        shared = allowed[0] if allowed else []
        for networks in allowed[1:]:
            both = (_narrower(one, other) for one in shared for other in networks)
            shared = list(dict.fromkeys(each for each in both if each))
        return shared


def rules_of(wish: Wish) -> Tuple[Rule, ...]:
    """The rules of a wish. Raises HostError where one is not as it must be: root's programs will read it."""
    found = wish.get("rules")
    if not isinstance(found, list) or not found:
        raise HostError("wish, rules: must be a list that is not empty")
    return tuple(map(_rule, found))


def _rule(found: Any) -> Rule:
    each = found if isinstance(found, dict) else {}
    ports, allow, interface = each.get("ports"), wishes.texts(each, "allow"), each.get("interface") or ""
    if not isinstance(ports, list) or not ports or not all(type(port) is int and 0 < port < 65536 for port in ports):
        raise HostError("wish, rules: ports must be numbers from 1 to 65535")
    if not isinstance(interface, str) or (interface and not INTERFACE.fullmatch(interface)):
        raise HostError("wish, rules: interface must be a network interface's name, or null")
    try:
        return Rule(tuple(ports), tuple(str(ipaddress.ip_network(network)) for network in allow), interface)
    except ValueError as wrong:
        raise HostError(f"wish, rules: allow must be networks: {wrong}") from wrong


def _narrower(one: str, other: str) -> str:
    """The network of the two that lies in the other; empty where neither does."""
    first, second = (ipaddress.ip_network(each) for each in (one, other))
    both = max(first, second, key=lambda network: network.prefixlen)
    return str(both) if first.overlaps(second) else ""


def alike(words: Iterable[str]) -> List[str]:
    """A printed rule's words in a form that all versions of a program agree on: order and networks' spelling differ."""
    return sorted(map(_spelled, words))


def _spelled(word: str) -> str:
    try:
        return str(ipaddress.ip_network(word))
    except ValueError:
        return word
