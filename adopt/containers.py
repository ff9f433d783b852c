"""What `docker inspect` tells of a container's ports and files. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence


def ports_of(told: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Its published ports: each `{"inside", "port", "address"}`."""
    found = told["NetworkSettings"].get("Ports") or {}
    return [
        {"inside": int(inside.partition("/")[0]), "port": int(each["HostPort"]), "address": each.get("HostIp") or ""}
        for inside, some in found.items()
        for each in some or []
    ]


def mounts_of(told: Mapping[str, Any]) -> List[Dict[str, str]]:
    """What of the host it has: each `{"from", "to", "kind"}`, `from` a folder or a volume."""
    return [
        {
            "from": each.get("Name") or each.get("Source") or "",
            "to": each.get("Destination") or "",
            "kind": each["Type"],
        }
        for each in told.get("Mounts") or []
    ]


def names_of(told: Mapping[str, Any]) -> List[str]:
    """The addresses and names by which other containers reach it."""
    found = [told["Name"].lstrip("/")]
    for network in (told["NetworkSettings"].get("Networks") or {}).values():
        found += [network["IPAddress"]] if network.get("IPAddress") else []
        found += network.get("Aliases") or []
    return list(dict.fromkeys(found))


def on_host(path: str, mounts: Sequence[Mapping[str, str]]) -> str:
    """Where a file of the container is on the host; empty where it is not mounted."""
    for each in mounts:
        if each["kind"] == "bind" and (path == each["to"] or path.startswith(f"{each['to']}/")):
            return each["from"] + path[len(each["to"]) :]
    return ""
