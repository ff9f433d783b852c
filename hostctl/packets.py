"""A new TCP connection's first packet on its way through a host's rules: what it holds, and what a rule says of it.

A rule is a row of steps. A step looks at the packet (matches), changes it (a mark) or decides (a verdict); one that
does not know says so. Order and meaning are the kernel's: iptables(8), iptables-extensions(8), nft(8).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple, Union

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
UNTRACKED, UNSEEN, NEW = "untracked", "unseen", "new"
"""What conntrack says: told to leave the packet alone, has not met it yet, has begun a connection with it."""


@dataclass(frozen=True)
class Packet:
    """A SYN. `in_interface` and `out_interface` are empty where the kernel has none; a mark of None is not known."""

    source: Address
    destination: Address
    port: int
    in_interface: str = ""
    out_interface: str = ""
    mark: Optional[int] = 0
    connection_mark: Optional[int] = 0
    conntrack: str = UNSEEN
    asked: Optional[Tuple[Address, int]] = None
    """Address and port before they were translated; None where they were not."""
    is_bound: bool = False
    """Whether a nat rule has decided where this connection goes, even if that is where it went anyway."""

    @property
    def original(self) -> Tuple[Address, int]:
        """The address and port that the sender asked for."""
        return self.asked or (self.destination, self.port)


class Unknown(NamedTuple):
    """It can't be told from here whether a step holds, or what it does."""

    why: str


class Assumed(NamedTuple):
    """Whether a step holds for a single connection while nobody else uses up its limit."""

    holds: bool
    what: str


class Verdict(NamedTuple):
    """accept, drop, reject, return, jump, goto (`chain`), or dnat and redirect (`address`, `port`; None: as it is)."""

    kind: str
    chain: str = ""
    address: Optional[Address] = None
    port: Optional[int] = None


class Route(NamedTuple):
    """Where the kernel sends a packet: local, forward (through `interface`), none (`why`), or unknown (`why`)."""

    kind: str
    interface: str = ""
    why: str = ""


class Surroundings:
    """What the rules ask of the host besides the packet. Tests give their own."""

    def route(self, packet: Packet) -> Route:
        """The routing decision for the packet as it is now."""
        raise NotImplementedError

    def address_type(self, address: Address) -> str:
        """LOCAL, BROADCAST, ANYCAST, MULTICAST or UNICAST, as rtnetlink(7) has them."""
        raise NotImplementedError

    def comes_in_by_its_route(self, packet: Packet) -> Optional[bool]:
        """Whether the way back to the source leaves by the interface that the packet came in at; None: not known."""
        raise NotImplementedError

    def first_address(self, interface: str, version: int) -> Optional[Address]:
        """The address of an interface that a redirect sends to."""
        raise NotImplementedError


Found = Union[bool, Unknown, Assumed, Verdict, Packet]
Step = Callable[[Packet, Surroundings], Found]


@dataclass(frozen=True)
class Rule:
    """One rule: its number in its chain, from 1; its text as its own program prints it; its steps."""

    number: int
    text: str
    steps: Tuple[Step, ...]
    native: bool = False
    """Only nft can have made it."""


@dataclass
class Chain:
    """A chain; with a `hook` (ingress, prerouting, input, forward, output, postrouting) the kernel itself calls it."""

    name: str
    rules: List[Rule]
    hook: str = ""
    priority: int = 0
    policy: str = "accept"
    kind: str = "filter"
    device: str = ""
    """The interface of an ingress chain; `?` where the listing does not tell."""


@dataclass
class Table:
    """A table of one program (`by`: iptables-nft, iptables-legacy, nft) for some IP versions."""

    by: str
    name: str
    versions: Tuple[int, ...]
    chains: Dict[str, Chain]
