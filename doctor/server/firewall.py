"""The firewall on both ends, from the rules in force: who stops a client on its way in, or this host on its way out."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from doctor.finding import Finding
from doctor.server.served import Served
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.iptables_rules import FORWARD_CHAIN, GUARD_CHAIN, PREROUTING_CHAIN
from hostctl.live_rules import LiveRules, live_rules
from hostctl.nftables_rules import TABLE
from hostctl.packet_walk import DROPPED, REJECTED, Place
from hostctl.packets import Address, Packet
from hostctl.reach import Answer, Question, answer
from hostctl.routes import LOOPBACK, Routes

OURS = (PREROUTING_CHAIN, GUARD_CHAIN, FORWARD_CHAIN)


class Stopped(NamedTuple):
    """A rule that stops a connection, the connection, and the command that lets it through."""

    where: str
    evidence: str
    undo: str


class Asking(NamedTuple):
    """A client at an endpoint, and what becomes of his packet there."""

    client: Mapping[str, Any]
    endpoint: Mapping[str, Any]
    answer: Answer


def look(host: Host, served: Served) -> Iterator[Finding]:
    """Each client at each endpoint that it asks; one finding for each rule that stops some."""
    rules: Dict[int, LiveRules] = {}
    routes = Routes(host)
    stopped: Dict[Tuple[str, str], List[Asking]] = {}
    for client in served["clients"]:
        source = _address(client["address"])
        if source is None:
            continue
        if source.version not in rules:
            rules[source.version] = live_rules(host, source.version)
        try:
            for each in client["asks"]:
                answered = answer(host, _question(source, each, routes), rules[source.version], routes)
                if answered.verdict in (DROPPED, REJECTED):
                    one = Asking(client, each, answered)
                    stopped.setdefault((_cause(one), _where(answered)), []).append(one)
        except HostError as no_route:
            yield Finding("no-way-back", "its routes", str(no_route), _values([client], client["asks"]))
    for (cause, where), alike in stopped.items():
        values = _values([one.client for one in alike], [one.endpoint for one in alike])
        values["undo"] = "; ".join(dict.fromkeys(undo(host, one.answer) for one in alike))
        yield Finding(cause, where, _evidence(alike[0].answer), values)


def _question(source: Address, endpoint: Mapping[str, Any], routes: Routes) -> Question:
    """As it comes in here. A name that leads elsewhere, such as to a balancer, is asked of this host's own address."""
    to = _address(endpoint["name"], source.version)
    return Question(source, endpoint["port"], to if to is not None and routes.way_to(to)[0] == LOOPBACK else None)


def _values(clients: Sequence[Mapping[str, Any]], endpoints: Sequence[Mapping[str, Any]]) -> Dict[str, str]:
    names = list(dict.fromkeys(each["name"] for each in clients))
    return {
        "clients": ", ".join(names),
        "hosts": " ".join(names),
        "address": clients[0]["address"],
        "port": ", ".join(dict.fromkeys(str(each["port"]) for each in endpoints)),
        "endpoints": " ".join(dict.fromkeys(f"{each['name']}:{each['port']}" for each in endpoints)),
    }


def way_out(host: Host, address: str, port: int) -> Optional[Stopped]:
    """What of this host's own rules stops it on its way to a port elsewhere; None where nothing does, or who knows."""
    to = ipaddress.ip_address(address)
    try:
        answered = answer(host, Question(None, port, to), live_rules(host, to.version), Routes(host))
    except HostError:
        return None
    if answered.verdict not in (DROPPED, REJECTED) or answered.walk.place is None:
        return None
    return Stopped(_where(answered), _evidence(answered), undo(host, answered, out=True))


def _cause(asking: Asking) -> str:
    place = asking.answer.walk.place
    if place is None:
        return "no-way-back"
    if place.chain in OURS or place.table == TABLE:
        return "firewall-changed" if asking.endpoint["allowed"] else "firewall-allowlist"
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
    """The command that lets this connection through: it takes a rule away that is about this port alone, else it lets
    the one address pass before the rule.
    """
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
    about_the_port = re.search(rf"\bdport {packet.port}\b", place.text) is not None
    if place.by == "nft":
        return _by_nft(host, place, packet, peer, out, about_the_port)
    return _by_iptables(host, place, packet, peer, out, about_the_port)


def _by_iptables(host: Host, place: Place, packet: Packet, peer: Address, out: bool, about_the_port: bool) -> str:
    program = f"{place.by if host.has(place.by) else place.by.split('-')[0]} -t {place.table}"
    if about_the_port and place.text.startswith("-A "):
        return f"{program} -D {place.text[len('-A ') :]}"
    to_itself = {"-i lo": packet.in_interface, "-o lo": packet.out_interface}
    alone = next((words for words, interface in to_itself.items() if interface == LOOPBACK), "")
    side = "-d" if out else "-s"
    return f"{program} -I {place.chain} {alone or f'-p tcp {side} {peer} --dport {packet.port}'} -j ACCEPT"


def _by_nft(host: Host, place: Place, packet: Packet, peer: Address, out: bool, about_the_port: bool) -> str:
    handle = _handle(host, place) if about_the_port else ""
    if handle:
        return f"nft delete rule {place.table} {place.chain} handle {handle}"
    if packet.in_interface == LOOPBACK:
        return f"nft insert rule {place.table} {place.chain} iifname lo accept"
    family, side = "ip" if peer.version == 4 else "ip6", "daddr" if out else "saddr"
    return f"nft insert rule {place.table} {place.chain} {family} {side} {peer} tcp dport {packet.port} accept"


def _handle(host: Host, place: Place) -> str:
    """By which nft knows a rule."""
    listing = host.run("nft", "-a", "-s", "list", "chain", *place.table.split(), place.chain).output
    found = re.search(rf"^\s*{re.escape(place.text)} # handle (\d+)$", listing, re.MULTILINE)
    return found[1] if found else ""


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
