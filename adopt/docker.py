"""What Docker reads: `{"version", "store", "file", "flags", "runs"}`, daemon.json and its certs.d."""

from __future__ import annotations

import json
from typing import Any, Dict

from adopt import texts
from hostctl import docker_api, docker_engine, files
from hostctl.certs_folders import DOCKER
from hostctl.daemon_json import PATH
from hostctl.docker_flags import CONFIG_FILE, flags
from hostctl.host import Host
from hostctl.masking import masked
from hostctl.start_command import start_command
from hostctl.systemd import service

SERVICE = "docker"
CLI = "/root/.docker/config.json"


def read(host: Host, report: Dict[str, Any]) -> None:
    """Take it, where dockerd is installed."""
    start = start_command(host, SERVICE)
    if not host.has(start.program or "dockerd"):
        return
    given = flags(start.arguments)
    runs = service(host, SERVICE).runs
    info = docker_api.call(host, "GET", "/info").data if runs else {}
    engine = docker_engine.found(host, start.program or "dockerd")
    file = given.get(CONFIG_FILE) or PATH
    report["docker"] = {
        "version": engine.name,
        "store": engine.store,
        "file": file,
        "flags": {key: masked(value) for key, value in given.items()},
        "mirrors": [masked(each) for each in (info.get("RegistryConfig") or {}).get("Mirrors") or []],
        "runs": runs,
    }
    texts.take(host, report, file)
    texts.take_certs_folder(host, report, DOCKER)
    state = files.read(host.path(CLI))
    _logins(report, CLI, state.content.decode(errors="replace") if state else "")


def _logins(report: Dict[str, Any], path: str, text: str) -> None:
    """Whose logins are in a config.json: `docker login` encodes user and password in one."""
    try:
        document = json.loads(text or "{}")
    except ValueError:
        return
    for server, login in (document.get("auths") or {}).items():
        user = texts.user_of(f"Basic {login.get('auth') or ''}")
        report["logins"].append({"file": path, "server": server, "user": user, "by": "cli"})
    for server, helper in (document.get("credHelpers") or {}).items():
        report["logins"].append({"file": path, "server": server, "user": "", "by": "helper", "helper": helper})
    if document.get("credsStore"):
        report["logins"].append(
            {"file": path, "server": "", "user": "", "by": "store", "helper": document["credsStore"]}
        )
