"""What a host's kernel knows of addresses, interfaces and ways, asked by ip(8)."""

from __future__ import annotations

import ipaddress
import re
from typing import Dict, List, Optional, Tuple

from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.packets import Address, Packet, Route, Surroundings
from hostctl.rule_steps import Network, network

LOOPBACK = "lo"
FORWARDING6 = "/proc/sys/net/ipv6/conf/all/forwarding"
REFUSALS = {
    "cross-device link": "the kernel drops it: the way back to the sender leaves by another interface (rp_filter)",
    "No route to host": "the kernel drops it: no route, or the host does not forward",
    "Invalid argument": "the kernel drops it: no such address may come in at this interface (martian)",
    "Network is unreachable": "the kernel drops it: no route",
}


class Routes(Surroundings):
    """The live host's. Each question is asked once."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._types: Dict[int, List[Tuple[Network, str]]] = {}
        self._asked: Dict[Tuple[str, ...], str] = {}

    def route(self, packet: Packet) -> Route:
        """Where the kernel sends a packet."""
        words = ["get", str(packet.destination), "from", str(packet.source)]
        words += ["iif", packet.in_interface] if packet.in_interface not in ("", LOOPBACK) else []
        words += ["mark", str(packet.mark)] if packet.mark else []
        told = self._route(packet.source.version, *words)
        route = read_route(told)
        received = packet.in_interface not in ("", LOOPBACK)
        if route.kind == "forward" and received and packet.source.version == 6 and not self._forwards6():
            return Route("none", why=REFUSALS["No route to host"])
        return route

    def address_type(self, address: Address) -> str:
        """What the local table makes of an address, as iptables' addrtype calls it."""
        if address.version not in self._types:
            told = self._ask("ip", f"-{address.version}", "route", "show", "table", "local")
            self._types[address.version] = read_types(told)
        fitting = [(net.prefixlen, kind) for net, kind in self._types[address.version] if address in net]
        return max(fitting)[1] if fitting else "MULTICAST" if address.is_multicast else "UNICAST"

    def comes_in_by_its_route(self, packet: Packet) -> Optional[bool]:
        """Whether answers would leave by the interface that it came in by; None where another table might say so."""
        return True if self.way_to(packet.source)[0] == packet.in_interface else None

    def first_address(self, interface: str, version: int) -> Optional[Address]:
        """The first address of an interface in one family; None where it has none."""
        told = self._ask("ip", "-o", f"-{version}", "address", "show", "dev", interface)
        found = re.search(r"\binet6? (\S+?)/\d+", told)
        return ipaddress.ip_address(found[1]) if found else None

    def way_to(self, address: Address) -> Tuple[str, Optional[Address]]:
        """The interface on the host's own way to an address, empty where there is none, and its address there."""
        told = self._route(address.version, "get", str(address))
        route = read_route(told)
        own = re.search(r"\bsrc (\S+)", told)
        interface = LOOPBACK if route.kind == "local" else route.interface
        return interface, ipaddress.ip_address(own[1]) if own else None

    def is_bridge(self, interface: str) -> bool:
        """Whether an interface is a bridge."""
        return f": {interface}:" in self._ask("ip", "-o", "link", "show", "type", "bridge")

    def has_interface(self, interface: str) -> bool:
        """Whether there is an interface of that name."""
        return self.host.run("ip", "link", "show", "dev", interface).ok

    def _forwards6(self) -> bool:
        """Of IPv4 the routing decision tells this itself."""
        return self._ask("cat", FORWARDING6).strip() != "0"

    def _route(self, version: int, *words: str) -> str:
        return self._ask("ip", f"-{version}", "route", *words, may_fail=True)

    def _ask(self, *command: str, may_fail: bool = False) -> str:
        if command not in self._asked:
            self._asked[command] = self.host.run(*command).output if may_fail else self.host.must(*command)
        return self._asked[command]


def read_route(told: str) -> Route:
    """A routing decision as `ip route get` prints it."""
    for refusal, meaning in REFUSALS.items():
        if refusal in told:
            return Route("none", why=meaning)
    kind = told.split(maxsplit=1)[0] if told.split() else ""
    device = re.search(r"\bdev (\S+)", told)
    if kind == "local":
        return Route("local")
    if kind in ("unreachable", "prohibit", "blackhole", "throw"):
        return Route("none", why=f"the kernel drops it: a route of type {kind}")
    if device and re.match(r"[0-9a-f.:]+$", kind):
        return Route("forward", device[1])
    return Route("unknown", why=f"ip route get says: {told.strip() or 'nothing'}")


def read_types(table: str) -> List[Tuple[Network, str]]:
    """The networks of the local table and their types, as `ip route show table local` prints it."""
    types = []
    for line in table.splitlines():
        words = line.split()
        try:
            types.append((network(words[1]), words[0].upper()))
        except (IndexError, ValueError):
            raise HostError(f"ip route show table local: a line that can't be read: {line}") from None
    return types
