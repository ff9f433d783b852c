"""What containerd reads: `{"version", "file", "imports", "roots", "runs"}`, config.toml, imports, hosts.toml files."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from adopt import texts
from hostctl import containerd_imports, containerd_says, containerd_versions, toml_text
from hostctl.host import Host
from hostctl.systemd import service

SERVICE = "containerd"


def read(host: Host, report: Dict[str, Any]) -> None:
    """Take it, where containerd is installed."""
    state = service(host, SERVICE)
    program = state.program() if state.program().startswith("/") else SERVICE
    if not host.has(program):
        return
    release = containerd_versions.release(containerd_versions.number(host.must(program, "--version")))
    file = containerd_versions.config_file(state.arguments())
    text = texts.take(host, report, file)
    dump: Mapping[str, Any] = {}
    if text:
        dumped = host.must(program, "--config", file, "config", "dump")
        lines = (line for line in dumped.splitlines() if not line.startswith(containerd_says.LOG_LINE))
        dump = toml_text.parsed("\n".join(lines), "containerd config dump").unwrap()
    imports = [
        path for pattern in dump.get("imports") or [] for path in containerd_imports.matching(host, str(pattern))
    ]
    for path in imports:
        texts.take(host, report, path)
    registry = toml_text.find(dump, release.own.registry) or {}
    roots = [each for each in str(registry.get("config_path") or "").split(":") if each]
    for root in roots:
        texts.take_certs_folder(host, report, root)
    report["containerd"] = {
        "version": ".".join(map(str, containerd_versions.number(host.must(program, "--version")))),
        "file": file,
        "imports": imports,
        "roots": roots,
        "runs": state.runs,
    }
    for server, table in (registry.get("configs") or {}).items():
        if (table or {}).get("auth"):
            user = str(table["auth"].get("username") or "")
            report["logins"].append({"file": file, "server": server, "user": user, "by": "cri"})
