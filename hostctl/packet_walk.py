"""Which way a packet goes through the tables of a host, and which rule decides. Pure: the host is asked by others.

Hooks and priorities as in netfilter: iptables' tables stand among nft's base chains (raw -300, mangle -150, nat -100
and 100, filter 0, security 50). `accept` ends a base chain, and the next one at the hook goes on; `drop` ends all. All
nat chains run where nat's own hook stands, in the order of their priorities, until one of them translates.
What is translated after the decision (POSTROUTING) is not looked at: nothing here depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from hostctl.packets import (
    NEW,
    UNSEEN,
    Assumed,
    Chain,
    Packet,
    Route,
    Rule,
    Surroundings,
    Table,
    Unknown,
    Verdict,
)

CONNTRACK = -200
"""The priority at which a connection begins (prerouting and output)."""
NAT = {"prerouting": -100, "output": -100, "input": 100, "postrouting": 100}
LOCAL, FORWARD, DROPPED, REJECTED, UNKNOWN = "local", "forward", "dropped", "rejected", "unknown"
DEEPEST = 64


class Place(NamedTuple):
    """A rule that held, and what it did; number 0 is the chain's policy."""

    by: str
    table: str
    chain: str
    number: int
    text: str
    did: str


class Ending(NamedTuple):
    """How a base chain ends."""

    verdict: Verdict
    place: Optional[Place]
    why: str = ""


class Stopped(Exception):
    """The packet goes no further."""

    def __init__(self, end: str, place: Optional[Place], why: str = "") -> None:
        super().__init__(why)
        self.end, self.place, self.why = end, place, why


@dataclass
class Walk:
    """What became of a packet: local, forward, dropped, rejected or unknown; by which rule, why, and on which way."""

    packet: Packet
    end: str = UNKNOWN
    place: Optional[Place] = None
    why: str = ""
    way: List[Place] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)


def walk(tables: Sequence[Table], packet: Packet, around: Surroundings) -> Walk:
    """Send the packet on its way. One of the host's own comes from `lo` and passes OUTPUT first."""
    walker = _Walker([each for each in tables if packet.source.version in each.versions], around, Walk(packet))
    try:
        walker.own() if packet.in_interface == "lo" else walker.received()
    except Stopped as stop:
        walker.seen.end, walker.seen.place, walker.seen.why = stop.end, stop.place, stop.why
    return walker.seen


class _Walker:
    def __init__(self, tables: Sequence[Table], around: Surroundings, seen: Walk) -> None:
        self.tables, self.around, self.seen = tables, around, seen

    def received(self) -> None:
        """A packet that another host, or a container, has sent."""
        self.hook("ingress")
        self.hook("prerouting")
        route = self.route()
        if route.kind == "local":
            self.hook("input")
            self.seen.end = LOCAL
            return
        self.seen.packet = replace(self.seen.packet, out_interface=route.interface)
        self.hook("forward")
        self.hook("postrouting")
        self.seen.end = FORWARD

    def own(self) -> None:
        """A packet of the host's own: it knows its way out before the rules see it."""
        route = self.route()
        self.seen.packet = replace(self.seen.packet, in_interface="", out_interface=_out(route))
        before = (self.seen.packet.original, self.seen.packet.mark)
        self.hook("output")
        if (self.seen.packet.original, self.seen.packet.mark) != before or self.seen.packet.asked:
            route = self.route()
        self.seen.packet = replace(self.seen.packet, out_interface=_out(route))
        self.hook("postrouting")
        if route.kind != "local":
            self.seen.end = FORWARD
            return
        self.seen.packet = replace(self.seen.packet, in_interface="lo", out_interface="")
        self.hook("prerouting", translate=False)
        self.hook("input")
        self.seen.end = LOCAL

    def route(self) -> Route:
        if self.seen.packet.mark is None:
            raise Stopped(UNKNOWN, None, "the packet's mark is not known, and a route may depend on it")
        route = self.around.route(self.seen.packet)
        if route.kind in ("none", "unknown"):
            raise Stopped(DROPPED if route.kind == "none" else UNKNOWN, None, route.why)
        return route

    def hook(self, hook: str, translate: bool = True) -> None:
        """Let each base chain of the hook judge the packet."""
        found = [(table, chain) for table in self.tables for chain in table.chains.values() if chain.hook == hook]
        for table, chain in sorted(found, key=lambda each: _order(hook, each[1])):
            if hook == "ingress" and chain.device not in (self.seen.packet.in_interface, "?"):
                continue
            if self.seen.packet.conntrack == UNSEEN and hook != "ingress" and _stands(hook, chain) > CONNTRACK:
                self.seen.packet = replace(self.seen.packet, conntrack=NEW)
            if chain.kind == "nat":
                if translate and hook in ("prerouting", "output") and self.is_translatable():
                    self.translate(table, chain, found)
                continue
            ending = self.base(table, chain)
            if chain.device == "?" and ending.verdict.kind != "accept":
                raise Stopped(UNKNOWN, ending.place, "nft does not tell which interface this chain is for")
            self.obey(ending)
        if self.seen.packet.conntrack == UNSEEN and hook != "ingress":
            self.seen.packet = replace(self.seen.packet, conntrack=NEW)

    def is_translatable(self) -> bool:
        return self.seen.packet.conntrack == NEW and not self.seen.packet.is_bound

    def translate(self, table: Table, chain: Chain, found: Sequence[Tuple[Table, Chain]]) -> None:
        before = self.seen.packet
        ending = self.base(table, chain)
        if ending.verdict.kind not in ("dnat", "redirect"):
            self.obey(ending)
            return
        equals = [
            each for each in found if each[1] is not chain and each[1].kind == "nat" and _same(each[1], chain)
        ]  # which of them the kernel asks first can't be seen
        for other_table, other in equals:
            probe = _Walker(self.tables, self.around, Walk(before))
            verdict = probe.base(other_table, other).verdict
            if verdict.kind != "accept" and verdict != ending.verdict:
                raise Stopped(UNKNOWN, ending.place, f"a chain of {other_table.by} with the same priority differs")
        packet = self.seen.packet
        address, port = ending.verdict.address or packet.destination, ending.verdict.port or packet.port
        if ending.verdict.kind == "redirect":
            own = self.around.first_address(packet.in_interface or "lo", packet.source.version)
            if own is None:
                raise Stopped(UNKNOWN, ending.place, f"{packet.in_interface}: has no address to redirect to")
            address = own
        # Conntrack's state is DNAT only where something has changed.
        asked = packet.original if (address, port) != (packet.destination, packet.port) else None
        self.seen.packet = replace(packet, destination=address, port=port, asked=asked, is_bound=True)

    def obey(self, ending: Ending) -> None:
        ends = {"drop": DROPPED, "reject": REJECTED, "unknown": UNKNOWN}
        if ending.verdict.kind in ends:
            raise Stopped(ends[ending.verdict.kind], ending.place, ending.why)

    def base(self, table: Table, chain: Chain) -> Ending:
        ending = self.chain(table, chain, 0)
        if ending is None:
            kind = chain.policy
            text = f"policy of {chain.name}: {kind}"
            ending = Ending(Verdict(kind), Place(table.by, table.name, chain.name, 0, text, kind))
        if ending.verdict.kind == "accept" and ending.place and ending.place.number and chain.kind != "nat":
            self.seen.place = ending.place
        return ending

    def chain(self, table: Table, chain: Chain, depth: int) -> Optional[Ending]:
        """None where the packet comes back to whoever sent it there."""
        if depth > DEEPEST:
            return Ending(Verdict("unknown"), None, f"{chain.name}: the jumps do not end")
        for rule in chain.rules:
            verdict, why = self.judge(rule)
            if verdict is None:
                continue
            place = Place(table.by, table.name, chain.name, rule.number, rule.text, _did(verdict))
            self.seen.way.append(place)
            if verdict.kind == "return":
                return None
            if verdict.kind == "matched":
                continue
            if verdict.kind not in ("jump", "goto"):
                return Ending(verdict, place, why)
            if verdict.chain not in table.chains:
                return Ending(Verdict("unknown"), place, f"there is no chain {verdict.chain}")
            ending = self.chain(table, table.chains[verdict.chain], depth + 1)
            if ending is not None or verdict.kind == "goto":
                return ending
        return None

    def judge(self, rule: Rule) -> Tuple[Optional[Verdict], str]:
        """What a rule does: None where it does not hold, `matched` where it decides nothing; and why it is unknown."""
        doubt = ""
        for step in rule.steps:
            found = step(self.seen.packet, self.around)
            if isinstance(found, Assumed):
                if found.what not in self.seen.notes:
                    self.seen.notes.append(found.what)
                found = found.holds
            if found is False:
                return None, ""
            if isinstance(found, Unknown):
                doubt = doubt or found.why
            elif isinstance(found, Verdict):
                return (Verdict("unknown"), doubt) if doubt else (found, "")
            elif isinstance(found, Packet):
                if doubt and found.conntrack != self.seen.packet.conntrack:
                    return Verdict("unknown"), doubt
                self.seen.packet = _doubted(self.seen.packet, found) if doubt else found
        return (None if doubt else Verdict("matched")), ""


def _doubted(before: Packet, after: Packet) -> Packet:
    """A packet that may have been changed."""
    return replace(
        before,
        mark=before.mark if before.mark == after.mark else None,
        connection_mark=before.connection_mark if before.connection_mark == after.connection_mark else None,
    )


def _out(route: Route) -> str:
    return "lo" if route.kind == "local" else route.interface


def _stands(hook: str, chain: Chain) -> int:
    return NAT.get(hook, 0) if chain.kind == "nat" else chain.priority


def _order(hook: str, chain: Chain) -> Tuple[int, int]:
    return _stands(hook, chain), chain.priority


def _same(one: Chain, other: Chain) -> bool:
    return one.priority == other.priority


def _did(verdict: Verdict) -> str:
    if verdict.kind in ("jump", "goto"):
        return f"{verdict.kind} {verdict.chain}"
    if verdict.kind == "dnat":
        address = "" if verdict.address is None else str(verdict.address)
        return f"dnat {address}{'' if verdict.port is None else f' port {verdict.port}'}"
    return verdict.kind


def counted(tables: Sequence[Table]) -> Dict[str, int]:
    """How many rules each program has."""
    counts: Dict[str, int] = {}
    for table in tables:
        counts[table.by] = counts.get(table.by, 0) + sum(len(chain.rules) for chain in table.chains.values())
    return counts
