"""The registries that run as containers: each `{"name", "image", "ports", "mounts", "env", "config", "addresses"}`."""

from __future__ import annotations

import re
from typing import Any, Dict, List
from urllib.parse import quote

from adopt import texts
from hostctl import docker_api
from hostctl.host import Host
from hostctl.masking import MASK, masked

CONFIGS = ("/etc/distribution/config.yml", "/etc/docker/registry/config.yml")
_NAMES_SECRET = re.compile(r"(PASSWORD|SECRET|SECRETKEY|ACCESSKEY|TOKEN)$")
OWN_LABEL = "http-registry.stack"


def read(host: Host, report: Dict[str, Any]) -> None:
    """Take those that run distribution, by what they are given or by what they run."""
    if not (report["docker"] or {}).get("runs"):
        return
    for listed in docker_api.call(host, "GET", "/containers/json").data:
        told = docker_api.call(host, "GET", f"/containers/{quote(listed['Id'])}/json").data
        if _is_registry(told) and OWN_LABEL not in (told["Config"].get("Labels") or {}):
            report["containers"].append(_document(host, report, told))


def _is_registry(told: Dict[str, Any]) -> bool:
    command = [told.get("Path") or "", *(told.get("Args") or [])]
    environment = told["Config"].get("Env") or []
    return any(each.startswith("REGISTRY_") for each in environment) or any(each in CONFIGS for each in command)


def _document(host: Host, report: Dict[str, Any], told: Dict[str, Any]) -> Dict[str, Any]:
    mounts = [
        {
            "from": each.get("Name") or each.get("Source") or "",
            "to": each.get("Destination") or "",
            "kind": each["Type"],
        }
        for each in told.get("Mounts") or []
    ]
    config = next((each["from"] for each in mounts if each["to"] in CONFIGS), "")
    if config:
        texts.take(host, report, config)
    passwords = _on_host(_variables(told).get("REGISTRY_AUTH_HTPASSWD_PATH", ""), mounts)
    if passwords:
        report["users"][passwords] = texts.users(host, passwords)
    networks = (told["NetworkSettings"].get("Networks") or {}).values()
    return {
        "name": told["Name"].lstrip("/"),
        "image": told["Config"]["Image"],
        "host_network": told["HostConfig"].get("NetworkMode") == "host",
        "ports": _ports(told),
        "mounts": mounts,
        "passwords": passwords,
        "env": dict(_hidden(each) for each in told["Config"].get("Env") or [] if each.startswith("REGISTRY_")),
        "config": config,
        "addresses": [each["IPAddress"] for each in networks if each.get("IPAddress")],
    }


def _variables(told: Dict[str, Any]) -> Dict[str, str]:
    return dict(each.split("=", 1) for each in told["Config"].get("Env") or [] if "=" in each)


def _on_host(path: str, mounts: List[Dict[str, str]]) -> str:
    """Where a file of the container is on the host; empty where it is not mounted."""
    for each in mounts:
        if each["kind"] == "bind" and (path == each["to"] or path.startswith(f"{each['to']}/")):
            return each["from"] + path[len(each["to"]) :]
    return ""


def _ports(told: Dict[str, Any]) -> List[Dict[str, Any]]:
    found = told["NetworkSettings"].get("Ports") or {}
    return [
        {"inside": int(inside.partition("/")[0]), "port": int(each["HostPort"]), "address": each.get("HostIp") or ""}
        for inside, some in found.items()
        for each in some or []
    ]


def _hidden(assignment: str) -> List[str]:
    name, _, value = assignment.partition("=")
    return [name, MASK if _NAMES_SECRET.search(name) else masked(value)]
