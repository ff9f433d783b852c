"""The lab's Docker networks, and the rule that keeps their traffic on this machine."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from lab.docker import Docker
from lab.hosts import NETWORKS, Network
from lab.paths import lab_dir
from lab.process import LabError, run

LABEL = "http-registry-lab"
GUARD_PREFERENCE = 1117
FAMILIES = ("-4", "-6")


def label() -> str:
    """The label of everything in Docker that belongs to this lab, as `--label` and `--filter label=` take it."""
    return f"{LABEL}={lab_dir()}"


def ensure(docker: Docker) -> None:
    """Make the networks that are missing, and the guard rules."""
    listed = docker("network", "ls", "--format", '{{.Name}}\t{{.Label "' + LABEL + '"}}').splitlines()
    owners = dict(line.split("\t", 1) for line in listed)
    for network in NETWORKS:
        if network.name not in owners:
            _refuse_a_clash(network)
            options = ["--opt", f"com.docker.network.bridge.name={network.bridge}"]
            options += ["--subnet", network.subnet, "--gateway", network.gateway, "--label", label()]
            options += ["--ipv6", "--subnet", network.subnet6]
            docker("network", "create", *options, network.name)
        elif owners[network.name] != str(lab_dir()):
            raise LabError(clash(owners[network.name]))
        elif docker("network", "inspect", "--format", "{{.EnableIPv6}}", network.name).strip() != "true":
            raise LabError("this lab was started by an older version, without IPv6; stop it first: lab/down")
    _guard()


def clash(folder: str) -> str:
    """Why a second lab can't be started, and what to do."""
    return (
        f"another lab runs on this machine, in {folder}, and the hosts' addresses are fixed."
        f"\nStop it with: HTTP_REGISTRY_LAB_DIR={folder} lab/down"
    )


def remove(docker: Docker) -> None:
    """Remove this lab's networks, and the guard rules unless they guard another lab's."""
    for name in docker("network", "ls", "--filter", f"label={label()}", "--format", "{{.Name}}").split():
        docker("network", "rm", name)
    left = docker("network", "ls", "--format", "{{.Name}}").split()
    if not any(network.name in left for network in NETWORKS):
        remove_guard()


def remove_guard() -> None:
    """Remove the guard rules, and the bridges that a dead dockerd left."""
    for network in NETWORKS:
        for family in FAMILIES:
            if network.bridge in guarded(_rules(family)):
                run(["ip", family, "rule", "del", *_rule(network)], what="removing the guard rule")
        if (Path("/sys/class/net") / network.bridge).exists():
            run(["ip", "link", "del", network.bridge], what="removing the bridge")


def guarded(rules: Iterable[Mapping[str, object]]) -> set[str]:
    """The bridges that the machine's routing rules (`ip -j rule`) guard."""
    return {str(rule["iif"]) for rule in rules if rule.get("priority") == GUARD_PREFERENCE and "iif" in rule}


def _rule(network: Network) -> list[str]:
    return ["pref", str(GUARD_PREFERENCE), "iif", network.bridge, "type", "unreachable"]


def _guard() -> None:
    """Routed packets of the lab's hosts come back as "unreachable": no test reaches another network."""
    remedy = "The lab needs a kernel with policy routing (CONFIG_IP_MULTIPLE_TABLES, CONFIG_IPV6_MULTIPLE_TABLES)."
    for family in FAMILIES:
        present = guarded(_rules(family))
        for network in NETWORKS:
            if network.bridge not in present:
                run(["ip", family, "rule", "add", *_rule(network)], what="adding the guard rule", remedy=remedy)


def _rules(family: str) -> list[dict[str, object]]:
    rules: list[dict[str, object]] = json.loads(run(["ip", family, "-j", "rule"], what="reading the routing rules"))
    return rules


def overlapping(subnet: str, routes: Iterable[Mapping[str, object]], but: str) -> str | None:
    """The device that has a route (`ip -j route`) into the subnet, other than `but`."""
    wanted = ipaddress.ip_network(subnet)
    for route in routes:
        destination = str(route.get("dst", "default"))
        if destination == "default" or route.get("dev") == but:
            continue
        if ipaddress.ip_network(destination, strict=False).overlaps(wanted):
            return str(route.get("dev"))
    return None


def _refuse_a_clash(network: Network) -> None:
    if (Path("/sys/class/net") / network.bridge).exists():
        subprocess.run(["ip", "link", "del", network.bridge], check=False, capture_output=True)
    routes = json.loads(run(["ip", "-j", "-4", "route"], what="reading the routes"))
    device = overlapping(network.subnet, routes, but=network.bridge)
    if device:
        raise LabError(
            f"this machine already reaches {network.subnet} through {device}; the lab would hide that network."
            "\nRun the lab on another machine, or in a virtual machine."
        )
