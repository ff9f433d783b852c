"""What the matches of an iptables rule say of a packet: iptables-extensions(8). None is guessed."""

from __future__ import annotations

import ipaddress
from typing import Callable, Dict, List, NamedTuple, Sequence, Set, Tuple

from hostctl.packets import NEW, Assumed, Found, Packet, Step, Surroundings, Unknown
from hostctl.rule_steps import (
    SYN,
    TCP,
    by_interface,
    by_type,
    contains,
    ct_states,
    from_ports,
    holds,
    in_networks,
    inside,
    masked,
    network,
    no_matter,
    of,
    port_range,
    to_ports,
)


class Option(NamedTuple):
    """`! --name values`."""

    name: str
    values: Tuple[str, ...]
    negated: bool


class NotKnown(Exception):
    """Something of a rule that this program does not know; the text names it."""


Options = Sequence[Option]
OTHER_PROTOCOLS = {"udp", "udplite", "icmp", "icmp6", "sctp", "dccp", "esp", "ah", "ipcomp", "igmp"}
LIMIT = "no limit of a rule is used up"
ONCE = "the sender has not come often before"
SEEN_BEFORE = {"EXPECTED", "SEEN_REPLY", "ASSURED"}


def base(option: Option) -> Step:
    """-s, -d, -i, -o, -p and -f."""
    value = option.values[0] if option.values else ""
    if option.name in ("-s", "-d"):
        side = "source" if option.name == "-s" else "destination"
        try:
            return in_networks(side, [network(each) for each in value.split(",")], option.negated)
        except ValueError:
            raise NotKnown(f"{option.name} {value}") from None
    if option.name in ("-i", "-o"):
        return by_interface("in" if option.name == "-i" else "out", value, option.negated, "+")
    if option.name == "-p":
        return holds((value in ("tcp", "all", "0", str(TCP))) is not option.negated)
    if option.name == "-f":
        return holds(option.negated)
    raise NotKnown(option.name)


def match(module: str, options: Options) -> Step:
    """The step of `-m module`. Raises NotKnown."""
    if module in OTHER_PROTOCOLS:
        return holds(False)
    if module not in MATCHES:
        raise NotKnown(f"-m {module}")
    try:
        return MATCHES[module](options)
    except (ValueError, IndexError, KeyError, StopIteration):
        shown = " ".join(f"{'! ' if each.negated else ''}{each.name} {' '.join(each.values)}" for each in options)
        raise NotKnown(f"-m {module} {shown}".strip()) from None


def _all(steps: Sequence[Step]) -> Step:
    """All of them hold. One that does not is the answer, whatever is unknown of the others."""

    def step(packet: Packet, around: Surroundings) -> Found:
        found = [each(packet, around) for each in steps]
        if False in found:
            return False
        return next((each for each in found if isinstance(each, (Unknown, Assumed))), True)

    return step


def _tcp(options: Options) -> Step:
    return _all([_tcp_option(each) for each in options])


def _tcp_option(option: Option) -> Step:
    if option.name == "--dport":
        return to_ports([port_range(option.values[0])], option.negated)
    if option.name == "--sport":
        return from_ports([port_range(option.values[0])], option.negated)
    if option.name == "--tcp-flags":
        looked_at, wanted = (_flags(each) for each in option.values)
        return holds((SYN & looked_at == wanted) is not option.negated)
    if option.name == "--syn":
        return holds(not option.negated)
    raise ValueError


def _flags(text: str) -> Set[str]:
    if text == "ALL":
        return {"FIN", "SYN", "RST", "PSH", "ACK", "URG"}
    return set() if text == "NONE" else set(text.split(","))


def _multiport(options: Options) -> Step:
    steps: List[Step] = []
    for name, values, negated in options:
        ranges = [port_range(each) for each in values[0].split(",")]
        if name == "--dports":
            steps.append(to_ports(ranges, negated))
        elif name == "--sports":
            steps.append(from_ports(ranges, negated))
        else:
            raise ValueError
    return _all(steps)


def _addrtype(options: Options) -> Step:
    sides = {"--src-type": "source", "--dst-type": "destination"}
    return _all([by_type(sides[each.name], each.values[0].split(","), each.negated) for each in options])


def _conntrack(options: Options) -> Step:
    asked = [each for each in options if each.name in ("--ctstate", "--state")]
    others = _all([_tracked(each) for each in options if each not in asked])
    states = [(set(each.values[0].split(",")), each.negated) for each in asked]

    def step(packet: Packet, around: Surroundings) -> Found:
        for wanted, negated in states:
            if bool(ct_states(packet) & wanted) is negated:
                return False
        if packet.conntrack != NEW:
            return bool(states)
        return others(packet, around)

    return step


def _tracked(option: Option) -> Step:
    name, values, negated = option
    value = values[0]
    if name == "--ctdir":
        return holds((value == "ORIGINAL") is not negated)
    if name == "--ctproto":
        return holds((value in ("tcp", str(TCP))) is not negated)
    if name == "--ctorigsrc":
        return in_networks("source", [network(value)], negated)
    if name == "--ctorigdst":
        asked = [network(value)]
        return lambda packet, around: contains(asked, packet.original[0]) is not negated
    if name == "--ctreplsrc":
        return in_networks("destination", [network(value)], negated)
    if name == "--ctorigdstport":
        ports = [port_range(value)]
        return lambda packet, around: inside(ports, packet.original[1]) is not negated
    if name == "--ctreplsrcport":
        return to_ports([port_range(value)], negated)
    if name == "--ctorigsrcport":
        return from_ports([port_range(value)], negated)
    if name == "--ctstatus" and set(value.split(",")) <= SEEN_BEFORE:
        return holds(negated)
    raise ValueError


def _mark(options: Options) -> Step:
    return _all([_mark_option(each, "mark") for each in options])


def _connmark(options: Options) -> Step:
    return _all([_mark_option(each, "connection_mark") for each in options])


def _mark_option(option: Option, which: str) -> Step:
    if option.name != "--mark":
        raise ValueError
    value, mask = masked(option.values[0])

    def step(packet: Packet, around: Surroundings) -> Found:
        mark = packet.mark if which == "mark" else packet.connection_mark
        if which != "mark" and packet.conntrack != NEW:
            return False
        return (
            Unknown(f"the packet's {which} is not known")
            if mark is None
            else (mark & mask == value) is not option.negated
        )

    return step


def _iprange(options: Options) -> Step:
    steps: List[Step] = []
    for name, values, negated in options:
        low, high = (ipaddress.ip_address(each) for each in values[0].split("-"))
        side = {"--src-range": "source", "--dst-range": "destination"}[name]
        steps.append(_between(side, int(low), int(high), negated))
    return _all(steps)


def _between(side: str, low: int, high: int, negated: bool) -> Step:
    return lambda packet, around: (low <= int(of(packet, side)) <= high) is not negated


def _limit(options: Options) -> Step:
    return holds(Assumed(True, LIMIT))


def _hashlimit(options: Options) -> Step:
    names = {each.name: each.negated for each in options}
    above = "--hashlimit-above" in names
    return holds(Assumed(not above, LIMIT))


def _connlimit(options: Options) -> Step:
    above = next(each for each in options if each.name in ("--connlimit-above", "--connlimit-upto"))
    if int(above.values[0]) < 1:
        raise ValueError
    below = above.name == "--connlimit-upto"
    return holds(Assumed(below is not above.negated, ONCE))


def _recent(options: Options) -> Step:
    if any(each.name == "--set" and not each.negated for each in options):
        return no_matter
    (hits,) = (int(each.values[0]) for each in options if each.name == "--hitcount")
    if hits < 2 or any(each.negated for each in options):
        raise ValueError
    return holds(Assumed(False, ONCE))


def _pkttype(options: Options) -> Step:
    (option,) = options
    return holds((option.values[0] in ("unicast", "host")) is not option.negated)


def _physdev(options: Options) -> Step:
    """A packet that is routed has crossed no bridge; that the bridge's port is known is another matter."""
    for each in options:
        if each.name not in ("--physdev-is-bridged", "--physdev-is-out"):
            raise ValueError
    return holds(all(each.negated for each in options))


def _rpfilter(options: Options) -> Step:
    names = [each.name for each in options]
    if set(names) - {"--invert", "--validmark", "--loose", "--accept-local"}:
        raise ValueError

    def step(packet: Packet, around: Surroundings) -> Found:
        known = True if packet.in_interface == "lo" else around.comes_in_by_its_route(packet)
        if not known and "--loose" in names:
            known = None
        return (
            Unknown("the way back to the source is not known") if known is None else known is not ("--invert" in names)
        )

    return step


def _policy(options: Options) -> Step:
    wanted = next(each for each in options if each.name == "--pol")
    plain = (wanted.values[0] == "none") is not wanted.negated
    return holds(Assumed(plain, "the sender does not come by IPsec"))


def _rt(options: Options) -> Step:
    """A SYN has no routing header."""
    return holds(False)


MATCHES: Dict[str, Callable[[Options], Step]] = {
    "tcp": _tcp,
    "multiport": _multiport,
    "addrtype": _addrtype,
    "conntrack": _conntrack,
    "state": _conntrack,
    "mark": _mark,
    "connmark": _connmark,
    "iprange": _iprange,
    "limit": _limit,
    "hashlimit": _hashlimit,
    "connlimit": _connlimit,
    "recent": _recent,
    "comment": lambda options: no_matter,
    "pkttype": _pkttype,
    "physdev": _physdev,
    "rpfilter": _rpfilter,
    "policy": _policy,
    "rt": _rt,
}
