"""The rules in force, in the words of the settings: an allowlist. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from ops.adopt.findings import Machine, Notes
from ops.adopt.said import Said

WORLD = ("0.0.0.0/0", "::/0")
REACHES, REFUSED = "reaches", ("dropped", "rejected")


def read_firewall(machines: Sequence[Machine], open_ports: Mapping[str, set[int]], notes: Notes) -> dict[str, Any]:
    """`firewall`, for the ports that the tier opens on each host."""
    lists: dict[tuple[str, ...], list[int]] = {}
    sources: dict[tuple[str, ...], str] = {}
    for machine in machines:
        for port in sorted(open_ports.get(machine.name, ())):
            networks, source = _allowed(machine, port, notes)
            if networks:
                lists.setdefault(networks, []).append(port)
                sources.setdefault(networks, source)
    if not lists:
        networks = tuple(dict.fromkeys(each for machine in machines for each in own_networks(machine)))
        return {
            "allow": Said(list(networks or ("10.0.0.0/8",)), "the hosts' own networks: no rule was found; say who may")
        }
    common = [each for each in next(iter(lists)) if all(each in some for some in lists)]
    if not common:
        widest = max(lists, key=len)
        notes.left.append(
            f"firewall: ports {', '.join(map(str, lists[widest]))} and others have no network in common; "
            "firewall.allow is about every port of the tier, so look at it"
        )
        common = list(widest)
    source = sources[next(iter(lists))]
    firewall: dict[str, Any] = {"allow": Said(common, source)}
    rules = [
        {
            "ports": Said(ports, sources[networks]),
            "allow": Said([each for each in networks if each not in common], sources[networks]),
        }
        for networks, ports in lists.items()
        if set(networks) - set(common)
    ]
    return firewall | ({"rules": rules} if rules else {})


def _allowed(machine: Machine, port: int, notes: Notes) -> tuple[tuple[str, ...], str]:
    """Who reaches a port, as few networks as say it, and by which rule."""
    asked = [each for each in machine.report["ports"] if each["port"] == port]
    if not asked:
        return (), ""
    world = [each for each in asked if each["verdict"] == REACHES and each["who"] in WORLD]
    open_to_all = {_version(each["who"]) for each in world}
    in_ = [each for each in asked if each["verdict"] == REACHES and _version(each["who"]) not in open_to_all]
    out = [each for each in asked if each["verdict"] in REFUSED and each["who"] not in WORLD]
    where = f"{machine.name}: port {port}"
    if world and in_:
        notes.changes.append(
            f"{where}: over IPv{_version(world[0]['who'])} no rule keeps anybody out today ({world[0]['why']}); "
            "the list closes it there"
        )
    elif world:
        networks = own_networks(machine)
        notes.changes.append(
            f"{where}: no rule keeps anybody out today ({world[0]['why']}); proposed is the host's own network alone"
        )
        return tuple(networks), f"{where} is open to everybody; the host's own network"
    networks = _widest([each["who"] for each in in_])
    for each in out:
        if any(_within(each["who"], one) for one in networks):
            notes.left.append(
                f"{where}: {each['who']} is refused within a network that gets in; a list has no exceptions"
            )
    shut = [each for each in asked if each["verdict"] in REFUSED and each["who"] in WORLD]
    # By a rule about him, or by one that stops all others.
    why = next((each["why"] for each in (*in_, *shut) if "chain" in each["why"]), "")
    if networks:
        notes.changes.append(
            f"{where}: the rules that say so now ({why}) may go once the first up is through; "
            "http-registry's come before them, and both count until then"
        )
    return tuple(networks), f"{where}: {why}" if why else where


def own_networks(machine: Machine) -> list[str]:
    """Those of the host's interface that has its address."""
    interfaces = [ipaddress.ip_interface(each) for each in machine.report["addresses"]]
    mine = [each for each in interfaces if str(each.ip) == machine.address]
    return [str(each.network) for each in mine or [one for one in interfaces if not one.ip.is_link_local][:1]]


def _widest(networks: Sequence[str]) -> list[str]:
    return [
        each for each in dict.fromkeys(networks) if not any(_within(each, other) for other in networks if other != each)
    ]


def _version(network: str) -> int:
    return ipaddress.ip_network(network).version


def _within(one: str, other: str) -> bool:
    inner, outer = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
