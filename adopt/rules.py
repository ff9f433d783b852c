"""Who reaches the registries' ports by the rules in force: each `{"port", "who", "verdict", "why"}`.

Every network that a rule names, the host's own networks and a stranger are tried, by the walk of `hostctl reach`.
"""

from __future__ import annotations

import ipaddress
import json
import re
from contextlib import suppress
from typing import Any, Dict, Iterator, List, Optional, Union

from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.live_rules import LiveRules, live_rules
from hostctl.packets import Address
from hostctl.reach import Question, answer
from hostctl.routes import Routes

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
STRANGERS = {4: "203.0.113.77", 6: "2001:db8:7777::77"}
"""Addresses for documentation, which nobody has (RFC 5737, RFC 3849)."""
WORLD = {4: "0.0.0.0/0", 6: "::/0"}
_LITERAL = {
    4: re.compile(r"(?<![\d.:/a-f])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?![\d.])"),
    6: re.compile(r"(?<![\w:.])(?=[0-9a-f:]*:[0-9a-f:]*:)[0-9a-f:]{2,39}(?:/\d{1,3})?(?![\w:])"),
}
_RANGE = re.compile(r"(?<![\w.:])([0-9a-f.:]+)-([0-9a-f.:]+)(?![\w.:])")
_LISTEN = re.compile(r"^\s*listen\s+(?:\S*:)?(\d+)\b", re.M)
CONTAINERS = re.compile(r"docker|br-|veth|http-registry")
ASKED = 60
"""Networks of one version that are tried at most."""


def read(host: Host, report: Dict[str, Any]) -> None:
    """Take the addresses, and who reaches the ports that nginx and the registries have."""
    report["addresses"] = _addresses(host)
    ports = {each["port"] for container in report["containers"] for each in container["ports"]}
    for each in report["nginx"]:
        if "proxy_pass" in each["dump"]:
            inside = {int(port) for port in _LISTEN.findall(each["dump"])}
            published = {one["port"] for one in each["ports"]}
            ports |= published if each["container"] else inside
    routes = Routes(host)
    for version in (4, 6):
        own = [ipaddress.ip_interface(each) for each in report["addresses"]]
        own = [each for each in own if each.version == version and not each.ip.is_link_local]
        if not own or not ports:
            continue
        rules = live_rules(host, version)
        tried = [*named(rules_text(host, version), version), *(each.network for each in own)]
        for port in sorted(ports):
            report["ports"].append(_asked(host, port, STRANGERS[version], WORLD[version], rules, routes, own[0].ip))
            for network in list(dict.fromkeys(tried))[:ASKED]:
                source = probe(network, [each.ip for each in own])
                if source and not CONTAINERS.match(routes.way_to(source)[0]):
                    report["ports"].append(_asked(host, port, str(source), str(network), rules, routes, own[0].ip))


def _asked(
    host: Host, port: int, source: str, who: str, rules: LiveRules, routes: Routes, to: Address
) -> Dict[str, Any]:
    asks = ipaddress.ip_address(source)
    # Without a route to a stranger he would come in where the neighbours do.
    interface = "" if routes.way_to(asks)[0] else _interface(host, to)
    try:
        told = answer(host, Question(asks, port, to, interface), rules, routes)
    except HostError as unknown:
        return {"port": port, "who": who, "verdict": "unknown", "why": str(unknown)}
    return {"port": port, "who": who, "verdict": told.verdict, "why": told.why}


def _interface(host: Host, own: Address) -> str:
    told = host.must("ip", "-o", "address", "show", "to", str(own))
    return told.split()[1] if told.split() else ""


def named(text: str, version: int) -> Iterator[Network]:
    """The networks that rules name, those of a range too. Pure."""
    for first, last in _RANGE.findall(text):
        with suppress(ValueError, TypeError):
            ends = ipaddress.ip_address(first), ipaddress.ip_address(last)
            if ends[0].version == version:
                yield from ipaddress.summarize_address_range(*ends)
    for literal in _LITERAL[version].findall(_RANGE.sub("", text)):
        try:
            network = ipaddress.ip_network(literal, strict=False)
        except ValueError:
            continue
        if not (network.is_loopback or network.is_multicast or network.is_unspecified or network.prefixlen == 0):
            yield network


def probe(network: Network, own: List[Address]) -> Optional[Address]:
    """An address of a network that is none of the host's: the last one that a host could have. Pure."""
    last = int(network.network_address) + network.num_addresses - 1
    lowest = int(network.network_address)
    for number in range(last - (1 if network.num_addresses > 2 else 0), max(lowest - 1, last - 16), -1):
        found = type(network.network_address)(number)
        if found not in own:
            return found
    return None


def rules_text(host: Host, version: int) -> str:
    """All rules as text, whoever made them."""
    programs = [["iptables-save"], ["iptables-legacy-save"]] if version == 4 else []
    programs += [["ip6tables-save"], ["ip6tables-legacy-save"]] if version == 6 else []
    programs += [["nft", "list", "ruleset"]]
    return "\n".join(host.run(*each).output for each in programs if host.has(each[0]))


def _addresses(host: Host) -> List[str]:
    """The host's own, as `address/length`, without those of containers' bridges."""
    told = json.loads(host.must("ip", "-j", "address") or "[]")
    return [
        f"{address['local']}/{address['prefixlen']}"
        for link in told
        if not CONTAINERS.match(link.get("ifname", "")) and link.get("ifname") != "lo"
        for address in link.get("addr_info") or []
    ]
