"""Steps that the rules of iptables and nft share, and numbers, masks and ports as both print them."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Callable, Collection, Optional, Sequence, Set, Tuple, Union

from hostctl.packets import NEW, UNTRACKED, Address, Found, Packet, Step, Surroundings, Unknown, Verdict

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
CLIENT_PORTS = (32768, 65535)
"""Where a client's own port is: ip_local_port_range of Linux, and what others take."""
SYN = {"SYN"}
TCP = 6


def always(verdict: Verdict) -> Step:
    """A step that decides."""
    return lambda packet, around: verdict


def holds(found: Found) -> Step:
    """A step that is the same for every packet."""
    return lambda packet, around: found


def no_matter(packet: Packet, around: Surroundings) -> bool:
    """A step that changes nothing here, such as a counter or a log line."""
    return True


def of(packet: Packet, side: str) -> Address:
    """The source or the destination."""
    return packet.source if side == "source" else packet.destination


def in_networks(side: str, networks: Sequence[Network], negated: bool = False) -> Step:
    """The source or destination is in one of these."""
    return lambda packet, around: contains(networks, of(packet, side)) is not negated


def contains(networks: Sequence[Network], address: Address) -> bool:
    """Whether the address is in one of the networks."""
    return any(address.version == each.version and address in each for each in networks)


def by_interface(side: str, pattern: str, negated: bool, wildcard: str) -> Step:
    """The packet came in, or goes out, by an interface; a name that ends with the wildcard is the start of one."""

    def step(packet: Packet, around: Surroundings) -> bool:
        name = packet.in_interface if side == "in" else packet.out_interface
        return named(name, pattern, wildcard) is not negated

    return step


def named(name: str, pattern: str, wildcard: str) -> bool:
    """Whether an interface's name fits a pattern."""
    return name.startswith(pattern[:-1]) if pattern.endswith(wildcard) else name == pattern


def to_ports(ranges: Sequence[Tuple[int, int]], negated: bool = False) -> Step:
    """The port that the packet now asks for."""
    return lambda packet, around: inside(ranges, packet.port) is not negated


def inside(ranges: Sequence[Tuple[int, int]], number: int) -> bool:
    """Whether a number is in one of the ranges, ends included."""
    return any(low <= number <= high for low, high in ranges)


def client_port(ranges: Sequence[Tuple[int, int]]) -> Optional[bool]:
    """Whether the sender's own port is in the ranges: the kernel picks it, so only all or nothing is known."""
    low, high = CLIENT_PORTS
    if any(start <= low and high <= end for start, end in ranges):
        return True
    return None if any(start <= high and low <= end for start, end in ranges) else False


def from_ports(ranges: Sequence[Tuple[int, int]], negated: bool = False) -> Step:
    """The sender's own port."""
    known = client_port(ranges)
    return holds(Unknown("the sender's own port is not known") if known is None else known is not negated)


def by_type(side: str, types: Collection[str], negated: bool = False) -> Step:
    """The address is the host's own (LOCAL), or of another type of rtnetlink(7)."""

    def step(packet: Packet, around: Surroundings) -> Found:
        return (around.address_type(of(packet, side)) in types) is not negated

    return step


def ct_states(packet: Packet) -> Set[str]:
    """The words for the connection's state that iptables' conntrack match sees."""
    if packet.conntrack == UNTRACKED:
        return {"UNTRACKED"}
    if packet.conntrack != NEW:
        return {"INVALID"}
    return {"NEW"} if packet.asked is None else {"NEW", "DNAT"}


def with_mark(change: Callable[[int], int]) -> Step:
    """Change the packet's mark; one that is not known stays so."""
    return lambda packet, around: packet if packet.mark is None else replace(packet, mark=change(packet.mark))


def untracked(packet: Packet, around: Surroundings) -> Packet:
    """Conntrack is told to leave the packet alone; too late where it has met it already."""
    return packet if packet.conntrack == NEW else replace(packet, conntrack=UNTRACKED)


def network(text: str) -> Network:
    """A network, or an address as a network of one. Raises ValueError."""
    return ipaddress.ip_network(text, strict=False)


def port_range(text: str, between: str = ":") -> Tuple[int, int]:
    """`80` or `80:90`; an end that is left out is the last there is. Raises ValueError."""
    low, dash, high = text.partition(between)
    return int(low or 0), int(high or 65535) if dash else int(low)


def masked(text: str) -> Tuple[int, int]:
    """`value/mask` or `value`, in hex or not. Raises ValueError."""
    value, slash, mask = text.partition("/")
    return int(value, 0), int(mask, 0) if slash else 0xFFFFFFFF
