"""The firewall on both ends, from the rules in force: who stops a client on its way in, or this host on its way out."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from doctor.finding import Finding
from doctor.server.served import Served
from hostctl.host import Host
from hostctl.iptables_rules import FORWARD_CHAIN, GUARD_CHAIN, PREROUTING_CHAIN
from hostctl.live_rules import LiveRules, live_rules
from hostctl.nftables_rules import TABLE
from hostctl.packet_walk import DROPPED, REJECTED, Place
from hostctl.packets import Address, Packet
from hostctl.reach import Answer, Question, answer
from hostctl.routes import Routes

OURS = (PREROUTING_CHAIN, GUARD_CHAIN, FORWARD_CHAIN)


class Stopped(NamedTuple):
    """A rule that stops a connection, the connection, and the command that lets it through."""

    where: str
    evidence: str
    undo: str


def look(host: Host, served: Served) -> Iterator[Finding]:
    """Each client at each endpoint that it asks; one finding for each rule that stops some."""
    if not served["clients"]:
        return
    rules: Dict[int, LiveRules] = {}
    routes = Routes(host)
    stopped: Dict[Tuple[str, str], List[Tuple[Mapping[str, Any], Mapping[str, Any], Answer]]] = {}
    for client in served["clients"]:
        source = _address(client["address"])
        if source is None:
            continue
        if source.version not in rules:
            rules[source.version] = live_rules(host, source.version)
        for each in client["asks"]:
            to = _address(each["name"], source.version)
            own = to if to is not None and routes.way_to(to)[0] == "lo" else None
            answered = answer(host, Question(source, each["port"], own), rules[source.version], routes)
            if answered.verdict in (DROPPED, REJECTED):
                cause = _cause(answered, each["allowed"])
                stopped.setdefault((cause, _where(answered)), []).append((client, each, answered))
    for (cause, where), entries in stopped.items():
        yield _finding(host, cause, where, entries)


def way_out(host: Host, address: str, port: int) -> Optional[Stopped]:
    """What of this host's own rules stops it on its way to a port elsewhere; None where nothing does, or who knows."""
    to = ipaddress.ip_address(address)
    answered = answer(host, Question(None, port, to), live_rules(host, to.version), Routes(host))
    if answered.verdict not in (DROPPED, REJECTED) or answered.walk.place is None:
        return None
    return Stopped(_where(answered), _evidence(answered), undo(host, answered, out=True))


def _finding(
    host: Host, cause: str, where: str, entries: List[Tuple[Mapping[str, Any], Mapping[str, Any], Answer]]
) -> Finding:
    clients = list(dict.fromkeys(client["name"] for client, _, _ in entries))
    values = {
        "clients": ", ".join(clients),
        "address": entries[0][0]["address"],
        "port": ", ".join(dict.fromkeys(str(each["port"]) for _, each, _ in entries)),
        "endpoints": " ".join(dict.fromkeys(f"{each['name']}:{each['port']}" for _, each, _ in entries)),
        "hosts": " ".join(clients),
        "undo": "; ".join(dict.fromkeys(undo(host, answered) for _, _, answered in entries)),
    }
    return Finding(cause, where, _evidence(entries[0][2]), values)


def _cause(answered: Answer, allowed: bool) -> str:
    place = answered.walk.place
    if place is None:
        return "no-way-back"
    if place.chain in OURS or place.table == TABLE:
        return "firewall-changed" if allowed else "firewall-allowlist"
    return "firewall-server"


def _where(answered: Answer) -> str:
    place = answered.walk.place
    if place is None:
        return "its routes"
    number = f"rule {place.number}" if place.number else "the policy"
    return f"{place.by}: table {place.table}, chain {place.chain}, {number}"


def _evidence(answered: Answer) -> str:
    packet = answered.walk.packet
    address, port = packet.original
    return f"{packet.source} -> {address} port {port}: {answered.verdict}: {answered.why}"


def undo(host: Host, answered: Answer, *, out: bool = False) -> str:
    """The command that lets this connection through before the rule that stops it: no other is let in by that."""
    place, packet = answered.walk.place, answered.walk.packet
    peer = packet.destination if out else packet.source
    if place is None:
        return f"ip route get {peer}"
    if place.chain.startswith(("ufw-", "ufw6-")):
        way = (
            f"out proto tcp to {peer} port {packet.port}" if out else f"proto tcp from {peer} to any port {packet.port}"
        )
        return f"ufw prepend allow {way}"
    if place.table.endswith(" firewalld"):
        return _by_firewalld(packet, peer, out)
    return _by_nft(place, packet, peer, out) if place.by == "nft" else _by_iptables(host, place, packet, peer, out)


def _by_iptables(host: Host, place: Place, packet: Packet, peer: Address, out: bool) -> str:
    program = place.by if host.has(place.by) else place.by.split("-")[0]
    side = "-d" if out else "-s"
    return f"{program} -t {place.table} -I {place.chain} -p tcp {side} {peer} --dport {packet.port} -j ACCEPT"


def _by_nft(place: Place, packet: Packet, peer: Address, out: bool) -> str:
    family, side = "ip" if peer.version == 4 else "ip6", "daddr" if out else "saddr"
    return f"nft insert rule {place.table} {place.chain} {family} {side} {peer} tcp dport {packet.port} accept"


def _by_firewalld(packet: Packet, peer: Address, out: bool) -> str:
    family = f"ipv{peer.version}"
    if out:
        rule = f"{family} filter OUTPUT 0 -p tcp -d {peer} --dport {packet.port} -j ACCEPT"
        return f"firewall-cmd --direct --add-rule {rule}"
    zone = f"--zone=$(firewall-cmd --get-zone-of-interface={packet.in_interface})"
    port = f"port port={packet.port} protocol=tcp"
    return f"firewall-cmd {zone} --add-rich-rule='rule family={family} source address={peer} {port} accept'"


def _address(name: str, version: int = 0) -> Optional[Address]:
    """An address, or that to which a name leads on this host."""
    families = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}
    try:
        found = socket.getaddrinfo(name, None, families[version], socket.SOCK_STREAM)
        return ipaddress.ip_address(str(found[0][4][0]).partition("%")[0])
    except (OSError, ValueError):
        return None
