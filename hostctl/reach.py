"""`hostctl reach`: whether an address reaches a TCP port of this host, or of a container, and which rule decides.

Request: `{"from": address, "port": number, "to": address, "interface": name}`; without `to` the host's own address on
the way to the sender, without `interface` the one of that way. Without `from`, or with one of the host's own, the host
itself asks: then its own rules on the way out decide.

Report: `verdict` (reaches, dropped, rejected, nobody listens, unknown), `why`, `rule` (the one that decides, or null:
`by`, `table`, `chain`, `number` from 1 or 0 for the policy, `text`, `did`), `way` (every rule that held, in order),
`asked` and `arrives` (address and port before and after translation), `interface`, `direction` (in or out: which way
the packet passes that interface), `listener`, `assuming`.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.listening_sockets import listener
from hostctl.live_rules import LiveRules, live_rules
from hostctl.packet_walk import DROPPED, FORWARD, LOCAL, REJECTED, UNKNOWN, Walk, walk
from hostctl.packets import Address, Packet
from hostctl.routes import LOOPBACK, Routes

REACHES, NOBODY = "reaches", "nobody listens"
EXAMPLE = '{"from": "192.0.2.7", "port": 443, "to": "192.0.2.1", "interface": "eth0"}'


class Question(NamedTuple):
    """Who asks for which port; of which address, coming in by which interface (None and empty: by the route).

    A `source` of None is the host itself, and `to` says whom it asks.
    """

    source: Optional[Address]
    port: int
    to: Optional[Address] = None
    interface: str = ""


class Answer(NamedTuple):
    """See the report above."""

    verdict: str
    why: str
    walk: Walk
    interface: str
    listener: str
    direction: str = "in"


def read_request(text: bytes) -> Dict[str, Any]:
    """The request's JSON. Raises HostError."""
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise HostError(f"reach: the request on stdin must be JSON like {EXAMPLE}")
    return request


def read_question(request: Dict[str, Any]) -> Question:
    """Raises HostError where the request is malformed."""
    try:
        source, to = request.get("from"), request.get("to")
        port, interface = request["port"], request.get("interface") or ""
        if (
            isinstance(port, bool)
            or not isinstance(port, int)
            or not 0 < port < 65536
            or not isinstance(interface, str)
            or not (source or to)
        ):
            raise ValueError
        question = Question(_address(source), port, _address(to), interface)
    except (KeyError, ValueError, TypeError):
        raise HostError(
            f"reach: the request must be like {EXAMPLE}; interface, and from or to, may be absent"
        ) from None
    versions = {each.version for each in (question.source, question.to) if each is not None}
    if len(versions) > 1:
        raise HostError(f"reach: {question.source} and {question.to} are not of the same IP version")
    return question


def _address(given: Any) -> Optional[Address]:
    return ipaddress.ip_address(given) if given else None


def version(question: Question) -> int:
    """4 or 6."""
    asked = question.source or question.to
    assert asked is not None
    return asked.version


def reach(host: Host, request: Dict[str, Any]) -> Dict[str, Any]:
    """Answer a request; changes nothing. Raises HostError where the host can't be asked."""
    question = read_question(request)
    rules = live_rules(host, version(question))
    return report(answer(host, question, rules, Routes(host)), rules)


def answer(host: Host, question: Question, rules: LiveRules, routes: Routes) -> Answer:
    """Walk the packet of a question through the rules."""
    source, interface, to = _way(question, routes)
    walked = walk(rules.tables, Packet(source, to, question.port, in_interface=interface), routes)
    answered = _judged(host, walked, rules, routes, interface)
    out = routes.way_to(to)[0]
    return answered._replace(interface=out, direction="out") if interface == LOOPBACK != out else answered


def _judged(host: Host, walked: Walk, rules: LiveRules, routes: Routes, interface: str) -> Answer:
    packet = walked.packet
    if walked.end not in (LOCAL, FORWARD):
        return Answer(walked.end, walked.why or _because(walked), walked, interface, "")
    bridged = _bridged(walked, rules, routes, interface)
    if bridged:
        return Answer(UNKNOWN, bridged, walked, interface, "")
    if walked.end == FORWARD:
        return Answer(
            REACHES, f"routed on by {packet.out_interface}; who listens there is not seen", walked, interface, ""
        )
    arrives_at = LOOPBACK if interface == LOOPBACK else packet.in_interface
    users = listener(host, packet.destination, packet.port, arrives_at)
    if users is None:
        return Answer(NOBODY, "no rule stops it, but no socket takes it", walked, interface, "")
    return Answer(REACHES, _because(walked), walked, interface, users)


def _way(question: Question, routes: Routes) -> Tuple[Address, str, Address]:
    """Who asks, the interface that the packet comes in by, and who is asked."""
    if question.interface and not routes.has_interface(question.interface):
        raise HostError(f"{question.interface}: this host has no such interface")
    if question.source is None and question.to is not None:
        return _own(question.to, routes), LOOPBACK, question.to
    assert question.source is not None
    return _way_in(question, question.source, routes)


def _own(to: Address, routes: Routes) -> Address:
    """This host's own address on its way to another."""
    _, own = routes.way_to(to)
    if own is None:
        raise HostError(f"{to}: this host has no route there")
    return own


def _way_in(question: Question, source: Address, routes: Routes) -> Tuple[Address, str, Address]:
    interface, own = routes.way_to(source)
    interface = question.interface or interface
    if not interface:
        raise HostError(f"{source}: this host has no route there; name the interface that it comes in at")
    to = question.to or own
    if to is None:
        raise HostError(f"{source}: which address of this host does it ask? name it (to)")
    return source, interface, to


def _bridged(walked: Walk, rules: LiveRules, routes: Routes, interface: str) -> str:
    """Why rules of bridges may decide, or the rules seen here may not; empty where neither is so."""
    packet = walked.packet
    bridges = [each for each in (interface, packet.out_interface) if each and routes.is_bridge(each)]
    if bridges and rules.guards_bridges:
        return f"{bridges[0]}: nft has rules for bridges too, which are not read here"
    if walked.end == FORWARD and interface == packet.out_interface:
        if packet.asked is not None:
            return f"{interface}: it is sent back there, and the answer need not come this way"
        if bridges:
            return f"{interface}: both are on this bridge, so that the packet need not pass the host's rules"
    return ""


def _because(walked: Walk) -> str:
    place = walked.place
    if place is None:
        return "no rule stops it"
    rule = f"rule {place.number}" if place.number else "the policy"
    return f"{place.by}: table {place.table}, chain {place.chain}, {rule}: {place.text}"


def report(answered: Answer, rules: LiveRules) -> Dict[str, Any]:
    """An answer as hostctl prints it."""
    walked = answered.walk
    address, port = walked.packet.original
    why = answered.why
    if answered.verdict == UNKNOWN and walked.place is not None and walked.end == UNKNOWN:
        why = f"{why} ({_because(walked)})"
    return {
        "result": "answered",
        "verdict": answered.verdict,
        "why": why,
        "rule": walked.place and walked.place._asdict(),
        "way": [each._asdict() for each in walked.way],
        "asked": {"from": str(walked.packet.source), "to": str(address), "port": port},
        "arrives": {"to": str(walked.packet.destination), "port": walked.packet.port},
        "interface": answered.interface,
        "direction": answered.direction,
        "listener": answered.listener,
        "assuming": _listed(walked.notes),
        "notes": _listed(rules.notes),
    }


def _listed(texts: List[str]) -> List[str]:
    return list(dict.fromkeys(texts))


__all__ = ["DROPPED", "NOBODY", "REACHES", "REJECTED", "UNKNOWN", "Answer", "Question", "answer", "reach", "report"]
