"""What the statements of an nft rule do to a packet, in their order: libnftables-json(5). None is guessed."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from hostctl.nft_values import STATUS, Absent, ClientPort, NotKnown, Sets, Value, fits, shown, value_of, words
from hostctl.packets import NEW, Assumed, Found, Packet, Step, Surroundings, Unknown, Verdict
from hostctl.rule_steps import always, holds, no_matter, untracked

NO_MATTER = {"counter", "log", "comment", "dup", "flow", "ct helper", "ct timeout", "ct expectation", "secmark", "last"}
VERDICTS = {"accept": "accept", "drop": "drop", "return": "return", "reject": "reject", "snat": "accept"}
VERDICTS["masquerade"] = "accept"
NOT_THE_WAY = {"priority", "nftrace", "rtclassid", "label", "event", "dscp", "ecn", "ttl", "hoplimit"}
"""Fields that a rule may set, and that no decision here looks at without being unknown."""


def statement_steps(statements: Sequence[Mapping[str, Any]], sets: Sets) -> Iterator[Step]:
    """The steps of a rule."""
    for statement in statements:
        ((kind, what),) = statement.items()
        if kind in NO_MATTER:
            yield no_matter
        elif kind in VERDICTS:
            yield always(Verdict(VERDICTS[kind]))
        elif kind in ("jump", "goto"):
            yield always(Verdict(kind, chain=_chain(what)))
        elif kind in STATEMENTS:
            yield _careful(STATEMENTS[kind], what, sets)
        elif kind != "continue":
            yield holds(
                Unknown(f"{kind} {what.get('name', '') if isinstance(what, dict) else ''}".strip() + ": not known here")
            )
            if kind != "quota" and not (kind == "xt" and isinstance(what, dict) and what.get("type") == "match"):
                yield always(Verdict("unknown"))


def _chain(what: Mapping[str, Any]) -> str:
    """The name of a chain that is jumped to. Raises KeyError, TypeError."""
    if not isinstance(what["target"], str):
        raise TypeError("the name of a chain")
    return what["target"]


Statement = Callable[[Any, Sets, Packet, Surroundings], Found]


def _careful(statement: Statement, what: Any, sets: Sets) -> Step:
    def step(packet: Packet, around: Surroundings) -> Found:
        try:
            return statement(what, sets, packet, around)
        except Absent:
            return False
        except NotKnown as unknown:
            return Unknown(f"{unknown}: not known here")
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return Unknown(f"{shown(what)}: of a form that is not known here")

    return step


def _match(what: Mapping[str, Any], sets: Sets, packet: Packet, around: Surroundings) -> bool:
    value, wanted, operator = value_of(what["left"], packet, around), what["right"], what["op"]
    if operator in ("<", ">", "<=", ">="):
        return _compared(value, operator, wanted)
    if isinstance(value, frozenset) and not _is_set(wanted):
        asked = words(wanted)
        if operator == "in":
            if what["left"] == {"ct": {"key": "status"}} and not asked <= STATUS:
                raise NotKnown(f"ct status {', '.join(sorted(asked))}")
            return bool(value & asked)
        if what["left"] == {"ct": {"key": "status"}} or (operator == "!=" and len(asked) > 1):
            raise NotKnown(f"{operator} of flags")
    return fits(value, wanted, sets) is not (operator == "!=")


def _is_set(wanted: Any) -> bool:
    return (isinstance(wanted, dict) and "set" in wanted) or (isinstance(wanted, str) and wanted.startswith("@"))


def _compared(value: Value, operator: str, wanted: Any) -> bool:
    if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)) and isinstance(wanted, str):
        value, wanted = int(value), int(ipaddress.ip_address(wanted))
    if not isinstance(value, int) or not isinstance(wanted, int):
        raise NotKnown(f"{operator} {shown(wanted)}")
    below, same = value < wanted, value == wanted
    return {"<": below, "<=": below or same, ">": not below and not same, ">=": not below}[operator]


def _vmap(what: Mapping[str, Any], sets: Sets, packet: Packet, around: Surroundings) -> Found:
    found = _looked_up(what, sets, packet, around)
    if found is None:
        return False
    ((kind, target),) = found.items()
    if kind == "continue":
        return True
    if kind not in (*VERDICTS, "jump", "goto"):
        raise NotKnown(kind)
    return Verdict(VERDICTS.get(kind, kind), chain=_chain(target) if target else "")


def _looked_up(what: Mapping[str, Any], sets: Sets, packet: Packet, around: Surroundings) -> Any:
    value, data = value_of(what["key"], packet, around), what["data"]
    if isinstance(value, ClientPort):
        raise NotKnown("a map of the sender's own port")
    if isinstance(data, str):
        if data[1:] not in sets:
            raise NotKnown(f"the map {data}")
        pairs: List[Tuple[Any, Any]] = sets[data[1:]].get("elem", [])
    else:
        pairs = data["set"]
    named = [(_key(key), found) for key, found in pairs]
    exact = next((found for key, found in named if key != "*" and fits(value, key, sets)), None)
    return exact if exact is not None else next((found for key, found in named if key == "*"), None)


def _key(key: Any) -> Any:
    return key["elem"]["val"] if isinstance(key, dict) and "elem" in key else key


def _limit(what: Any, sets: Sets, packet: Packet, around: Surroundings) -> Found:
    if not isinstance(what, dict):
        raise NotKnown(f"the limit {what}")
    return Assumed(not what.get("inv"), "no limit of a rule is used up")


def _mangle(what: Mapping[str, Any], sets: Sets, packet: Packet, around: Surroundings) -> Found:
    ((kind, key),) = what["key"].items()
    name = key.get("key") or key.get("field")
    if name == "mark" and kind in ("meta", "ct"):
        value: Optional[int]
        try:
            given = value_of(what["value"], packet, around)
            value = given if isinstance(given, int) else None
        except NotKnown:
            value = None
        if kind == "meta":
            return replace(packet, mark=value)
        return replace(packet, connection_mark=value) if packet.conntrack == NEW else packet
    if name in NOT_THE_WAY:
        return True
    return Verdict("unknown")


def _dnat(what: Mapping[str, Any], sets: Sets, packet: Packet, around: Surroundings) -> Found:
    family = what.get("family")
    if family and packet.source.version != (4 if family == "ip" else 6):
        return False
    address, port = what.get("addr"), what.get("port")
    if isinstance(address, dict) and "map" in address:
        address = _looked_up(address["map"], sets, packet, around)
        if address is None:
            return False
    if isinstance(address, dict) and "concat" in address:
        address, port = address["concat"]
    if isinstance(port, dict) and "map" in port:
        port = _looked_up(port["map"], sets, packet, around)
    if not isinstance(address, (str, type(None))) or not isinstance(port, (int, type(None))):
        return Verdict("unknown")
    return Verdict("dnat", address=ipaddress.ip_address(address) if address else None, port=port)


def _redirect(what: Any, sets: Sets, packet: Packet, around: Surroundings) -> Found:
    port = what.get("port") if what else None
    return Verdict("redirect", port=port) if isinstance(port, (int, type(None))) else Verdict("unknown")


def _set(what: Mapping[str, Any], sets: Sets, packet: Packet, around: Surroundings) -> Found:
    """Remember the packet in a set; what stands beside may be a limit for each element."""
    for each in what.get("stmt") or []:
        ((kind, limit),) = each.items()
        if kind not in ("limit", "ct count", "counter"):
            raise NotKnown(f"a set's {kind}")
        if kind != "counter":
            return _limit(limit, sets, packet, around)
    return True


STATEMENTS: Dict[str, Statement] = {
    "match": _match,
    "vmap": _vmap,
    "limit": _limit,
    "ct count": _limit,
    "mangle": _mangle,
    "dnat": _dnat,
    "redirect": _redirect,
    "set": _set,
    "map": lambda what, sets, packet, around: True,
    "notrack": lambda what, sets, packet, around: untracked(packet, around),
}
