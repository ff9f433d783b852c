"""nginx's effective configuration, the host's own and those in containers, and who the users of its password files are.

Each: `{"container", "dump", "ports", "mounts"}`; `container` is empty for the host's own, `ports` are published.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Sequence
from urllib.parse import quote

from adopt import texts
from adopt.containers import mounts_of, on_host, ports_of
from hostctl import docker_api
from hostctl.host import Host

_PASSWORDS = re.compile(r"^[^#\n]*\bauth_basic_user_file\s+([^;\s]+)\s*;", re.M)
_CERTIFICATES = re.compile(r"^[^#\n]*\bssl_certificate\s+([^;\s]+)\s*;", re.M)
FOLDER = "/etc/nginx"
LIMIT = 20.0


def read(host: Host, report: Dict[str, Any]) -> None:
    """Take each one's `nginx -T`. Its own check comes with it: a configuration that nginx refuses is told, not read."""
    if host.has("nginx"):
        _take(host, report, host.must("nginx", "-T", timeout=LIMIT), {"container": "", "ports": [], "mounts": []})
    if not (report["docker"] or {}).get("runs"):
        return
    for listed in docker_api.call(host, "GET", "/containers/json").data:
        told = docker_api.call(host, "GET", f"/containers/{quote(listed['Id'])}/json").data
        name = told["Name"].lstrip("/")
        if _runs_nginx(told):
            dump = host.must("docker", "exec", name, "nginx", "-T", timeout=LIMIT)
            _take(host, report, dump, {"container": name, "ports": ports_of(told), "mounts": mounts_of(told)})


def _runs_nginx(told: Mapping[str, Any]) -> bool:
    command: List[str] = [told.get("Path") or "", *(told.get("Args") or [])]
    return any(each.rpartition("/")[2] == "nginx" for each in command[:3])


def _take(host: Host, report: Dict[str, Any], dump: str, about: Dict[str, Any]) -> None:
    report["nginx"].append({**about, "dump": texts.hidden(dump)})
    for name in _PASSWORDS.findall(dump):
        path = _path(name, about["mounts"], about["container"])
        report["users"][path] = texts.users(host, path) if path.startswith("/") else []
    for name in _CERTIFICATES.findall(dump):
        path = _path(name, about["mounts"], about["container"])
        if path.startswith("/"):
            texts.take(host, report, path)


def _path(name: str, mounts: Sequence[Mapping[str, str]], container: str) -> str:
    """Where a file is on the host; in the container where it is not mounted."""
    name = name.strip("\"'")
    path = name if name.startswith("/") else f"{FOLDER}/{name}"
    return on_host(path, mounts) or f"{container}:{path}" if container else path
