"""What nft's expressions give for a packet, and whether that fits what a rule compares it with: libnftables-json(5)."""

from __future__ import annotations

import ipaddress
from typing import Any, FrozenSet, List, Mapping, Tuple, Union

from hostctl.packets import NEW, UNTRACKED, Address, Packet, Surroundings
from hostctl.rule_steps import client_port, named

Sets = Mapping[str, Mapping[str, Any]]
"""The named sets and maps of a table, as listed."""
Value = Union[int, str, bool, Address, FrozenSet[str], Tuple[Any, ...], "ClientPort"]
SYN = frozenset({"syn"})
STATUS = {"snat", "dnat", "expected", "seen-reply", "assured"}
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "icmpv6": 58, "sctp": 132, "udplite": 136}


class Absent(Exception):
    """The packet has no such field: the rule does not hold."""


class NotKnown(Exception):
    """The text says what is not known here."""


class ClientPort:
    """The sender's own port, which the kernel picks."""


def value_of(expression: Any, packet: Packet, around: Surroundings) -> Value:
    """Raises Absent and NotKnown."""
    if isinstance(expression, (int, str)):
        return expression
    if isinstance(expression, dict) and len(expression) == 1:
        ((kind, what),) = expression.items()
        if kind in READERS:
            return READERS[kind](what, packet, around)
        if kind == "concat":
            return tuple(value_of(each, packet, around) for each in what)
        if kind in ("&", "|", "^"):
            return _combined(kind, value_of(what[0], packet, around), what[1:])
    raise NotKnown(shown(expression))


def shown(expression: Any) -> str:
    """An expression's kind and name, for a person."""
    if isinstance(expression, dict) and expression:
        ((kind, what), *_) = expression.items()
        name = what.get("key") or what.get("field") or "" if isinstance(what, dict) else ""
        return f"{kind} {name}".strip()
    return str(expression)


def _payload(what: Mapping[str, Any], packet: Packet, around: Surroundings) -> Value:
    protocol, name = what.get("protocol", ""), what.get("field", "")
    if protocol in ("ip", "ip6"):
        if packet.source.version != (4 if protocol == "ip" else 6):
            raise Absent
        known = {"saddr": packet.source, "daddr": packet.destination, "protocol": "tcp", "nexthdr": "tcp"}
        if name in known:
            return known[name]
    elif protocol in ("tcp", "th"):
        if name == "dport":
            return packet.port
        if name == "sport":
            return ClientPort()
        if name == "flags":
            return SYN
    elif protocol in ("udp", "udplite", "icmp", "icmpv6", "sctp", "dccp", "esp", "ah", "comp", "igmp"):
        raise Absent
    raise NotKnown(f"{protocol} {name}".strip() or "raw payload")


def _meta(what: Mapping[str, Any], packet: Packet, around: Surroundings) -> Value:
    key = what["key"]
    four = packet.source.version == 4
    known = {
        "l4proto": "tcp",
        "nfproto": "ipv4" if four else "ipv6",
        "protocol": "ip" if four else "ip6",
        "iifname": packet.in_interface,
        "oifname": packet.out_interface,
        "iif": packet.in_interface,
        "oif": packet.out_interface,
        "pkttype": "host",
    }
    if key in known:
        return known[key]
    if key == "mark" and packet.mark is not None:
        return packet.mark
    if (key, packet.in_interface) == ("iiftype", "lo") or (key, packet.out_interface) == ("oiftype", "lo"):
        return "loopback"
    raise NotKnown(f"meta {key}")


def _ct(what: Mapping[str, Any], packet: Packet, around: Surroundings) -> Value:
    key = what["key"]
    if key == "state":
        return frozenset(
            {"new" if packet.conntrack == NEW else UNTRACKED if packet.conntrack == UNTRACKED else "invalid"}
        )
    if packet.conntrack != NEW:
        raise Absent
    if key == "status":
        return frozenset() if packet.asked is None else frozenset({"dnat"})
    if key == "direction":
        return "original"
    if key == "mark" and packet.connection_mark is not None:
        return packet.connection_mark
    if key in ("l4proto", "protocol"):
        return "tcp"
    if what.get("dir") == "original":
        last = key.split()[-1]
        known = {"saddr": packet.source, "daddr": packet.original[0], "proto-dst": packet.original[1]}
        if last in known:
            return known[last]
        if last == "proto-src":
            return ClientPort()
    raise NotKnown(f"ct {key}")


def _fib(what: Mapping[str, Any], packet: Packet, around: Surroundings) -> Value:
    flags = what["flags"] if isinstance(what["flags"], list) else [what["flags"]]
    if what["result"] == "type" and not {"iif", "oif"} & set(flags):
        return around.address_type(packet.source if "saddr" in flags else packet.destination).lower()
    if what["result"] == "oif" and {"saddr", "iif"} <= set(flags):
        comes = True if packet.in_interface == "lo" else around.comes_in_by_its_route(packet)
        if comes is not None:
            return comes
    raise NotKnown(f"fib {' . '.join(flags)} {what['result']}")


READERS = {"payload": _payload, "meta": _meta, "ct": _ct, "fib": _fib}


def _combined(operator: str, value: Value, others: List[Any]) -> Value:
    for other in others:
        if isinstance(value, frozenset) and operator == "&":
            value &= words(other)
        elif isinstance(value, int) and isinstance(other, int):
            value = value & other if operator == "&" else value | other if operator == "|" else value ^ other
        else:
            raise NotKnown(f"{operator} of {other}")
    return value


def words(flags: Any) -> FrozenSet[str]:
    """Flags as nft prints them: one, a list, or several with `|`; 0 is none."""
    if isinstance(flags, dict) and "|" in flags:
        flags = flags["|"]
    if isinstance(flags, list):
        return frozenset().union(*map(words, flags))
    if flags == 0:
        return frozenset()
    if not isinstance(flags, str):
        raise NotKnown(f"flags {flags}")
    return frozenset({flags})


def fits(value: Value, wanted: Any, sets: Sets) -> bool:
    """Whether a value is what a rule wants, or one of it. Raises NotKnown."""
    if isinstance(wanted, str) and wanted.startswith("@"):
        if wanted[1:] not in sets:
            raise NotKnown(f"the set {wanted}")
        return any(fits(value, each, sets) for each in sets[wanted[1:]].get("elem", []))
    if isinstance(wanted, dict):
        if "set" in wanted:
            inside = wanted["set"] if isinstance(wanted["set"], list) else [wanted["set"]]
            return any([fits(value, each, sets) for each in inside])
        if "elem" in wanted:
            return fits(value, wanted["elem"]["val"], sets)
        if "concat" in wanted and isinstance(value, tuple):
            return all([fits(one, other, sets) for one, other in zip(value, wanted["concat"])])
    if isinstance(value, ClientPort):
        low, high = wanted["range"] if isinstance(wanted, dict) and "range" in wanted else (wanted, wanted)
        known = client_port([(_number(low), _number(high))])
        if known is None:
            raise NotKnown("the sender's own port")
        return known
    return _is(value, wanted)


def _is(value: Value, wanted: Any) -> bool:
    if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return _in_addresses(value, wanted)
    if isinstance(value, bool):
        return value is (wanted not in (False, 0, "0"))
    if isinstance(value, frozenset):
        return value == words(wanted)
    if isinstance(wanted, dict) and "range" in wanted and isinstance(value, int):
        return _number(wanted["range"][0]) <= value <= _number(wanted["range"][1])
    if isinstance(value, int):
        return value == _number(wanted)
    if isinstance(value, str) and isinstance(wanted, str):
        return named(value, wanted, "*")
    if value in PROTOCOLS and isinstance(wanted, int):
        return PROTOCOLS[str(value)] == wanted
    if isinstance(value, str) and isinstance(wanted, int):
        return False  # an interface that is gone
    raise NotKnown(f"a comparison with {shown(wanted)}")


def _in_addresses(address: Address, wanted: Any) -> bool:
    try:
        if isinstance(wanted, dict) and "prefix" in wanted:
            return address in ipaddress.ip_network(
                f"{wanted['prefix']['addr']}/{wanted['prefix']['len']}", strict=False
            )
        if isinstance(wanted, dict) and "range" in wanted:
            low, high = (int(ipaddress.ip_address(each)) for each in wanted["range"])
            return low <= int(address) <= high
        return wanted == "*" or address == ipaddress.ip_address(wanted)
    except ValueError:
        raise NotKnown(f"the address {wanted}") from None


def _number(text: Any) -> int:
    try:
        # nft 1.0 adds this behind a number whose type it does not know, as of ct's proto-dst in a set.
        return text if isinstance(text, int) else int(text.replace(" [invalid type]", ""), 0)
    except (ValueError, AttributeError):
        raise NotKnown(f"the number {text}") from None
