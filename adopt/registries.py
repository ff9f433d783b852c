"""The registries that run as containers: each `{"name", "image", "ports", "mounts", "env", "config", "called", ...}`.

`passwords`: its htpasswd on the host, empty where it has none there.
"""

from __future__ import annotations

import re
from typing import Any, Dict
from urllib.parse import quote

from adopt import texts
from adopt.containers import mounts_of, names_of, on_host, ports_of
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
    mounts = mounts_of(told)
    config = next((each["from"] for each in mounts if each["to"] in CONFIGS), "")
    if config:
        texts.take(host, report, config)
    variables = dict(each.split("=", 1) for each in told["Config"].get("Env") or [] if "=" in each)
    passwords = on_host(variables.get("REGISTRY_AUTH_HTPASSWD_PATH", ""), mounts)
    if passwords:
        report["users"][passwords] = texts.users(host, passwords)
    return {
        "name": told["Name"].lstrip("/"),
        "image": told["Config"]["Image"],
        "host_network": told["HostConfig"].get("NetworkMode") == "host",
        "ports": ports_of(told),
        "mounts": mounts,
        "env": {name: _hidden(name, value) for name, value in variables.items() if name.startswith("REGISTRY_")},
        "config": config,
        "passwords": passwords,
        "called": names_of(told),
    }


def _hidden(name: str, value: str) -> str:
    return MASK if _NAMES_SECRET.search(name) else masked(value)
