"""The lab's Docker networks, and the rule that keeps their traffic on this machine."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from lab import daemon
from lab.docker import Docker
from lab.hosts import NETWORKS, Network
from lab.paths import lab_dir
from lab.process import LabError, run

LABEL = "http-registry-lab"
GUARD_PREFERENCE = 1117


def ensure(docker: Docker) -> None:
    """Make the networks that are missing, and the guard rules."""
    known = docker("network", "ls", "--format", "{{.Name}}").split()
    for network in NETWORKS:
        if network.name not in known:
            _refuse_a_clash(network)
            options = ["--opt", f"com.docker.network.bridge.name={network.bridge}"]
            options += ["--subnet", network.subnet, "--gateway", network.gateway, "--label", f"{LABEL}={lab_dir()}"]
            docker("network", "create", *options, network.name)
    _guard()


def remove(docker: Docker) -> None:
    """Remove the networks and the guard rules."""
    for name in docker("network", "ls", "--filter", f"label={LABEL}", "--format", "{{.Name}}").split():
        docker("network", "rm", name)
    remove_guard()


def remove_guard() -> None:
    """Remove the guard rules and bridges that a dead dockerd left."""
    for network in NETWORKS:
        if network.bridge in guarded(json.loads(run(["ip", "-j", "rule"], what="reading the routing rules"))):
            run(["ip", "rule", "del", *_rule(network)], what="removing the guard rule")
        if (Path("/sys/class/net") / network.bridge).exists():
            run(["ip", "link", "del", network.bridge], what="removing the bridge")


def guarded(rules: Iterable[Mapping[str, object]]) -> set[str]:
    """The bridges that the machine's routing rules (`ip -j rule`) guard."""
    return {str(rule["iif"]) for rule in rules if rule.get("priority") == GUARD_PREFERENCE and "iif" in rule}


def _rule(network: Network) -> list[str]:
    return ["pref", str(GUARD_PREFERENCE), "iif", network.bridge, "type", "unreachable"]


def _guard() -> None:
    """Routed packets of the lab's hosts come back as "unreachable": no test reaches another network."""
    present = guarded(json.loads(run(["ip", "-j", "rule"], what="reading the routing rules")))
    for network in NETWORKS:
        if network.bridge not in present:
            remedy = "The lab needs a kernel with policy routing (CONFIG_IP_MULTIPLE_TABLES)."
            run(["ip", "rule", "add", *_rule(network)], what="adding the guard rule", remedy=remedy)


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
        others = daemon.other_labs()
        if not others:
            subprocess.run(["ip", "link", "del", network.bridge], check=False, capture_output=True)
            return
        raise LabError(
            f"another lab runs on this machine, in {others[0]}; there can be one at a time, because the addresses are"
            f" fixed.\nStop it with: HTTP_REGISTRY_LAB_DIR={others[0]} lab/down"
        )
    routes = json.loads(run(["ip", "-j", "-4", "route"], what="reading the routes"))
    device = overlapping(network.subnet, routes, but=network.bridge)
    if device:
        raise LabError(
            f"this machine already reaches {network.subnet} through {device}, and the lab would hide that network."
            "\nRun the lab on another machine, or in a virtual machine."
        )
