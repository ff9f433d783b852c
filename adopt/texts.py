"""Files of a host as texts that may leave it: secrets are stars, only whose login it is stays."""

from __future__ import annotations

import posixpath
import re
from typing import Any, Dict, List, Mapping

from hostctl import docker_cli_config, files, toml_text
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.masking import masked

_YAML = re.compile(r"(?im)^(\s*[\w-]*(?:password|secret|secretkey|accesskey|token)\s*:[ \t]*)(?!\s*$)(\S.*)$")


def take(host: Host, report: Dict[str, Any], path: str) -> str:
    """Put a file into the report, if it is there; returns its text as it is."""
    state = files.read(host.path(path))
    if state is None:
        return ""
    text = state.content.decode(errors="replace")
    report["files"][path] = hidden(text)
    return text


def hidden(text: str) -> str:
    """A text without secrets, YAML too."""
    return masked(_YAML.sub(r"\1'***'", text))


def take_certs_folder(host: Host, report: Dict[str, Any], root: str) -> None:
    """Every hosts.toml and certificate below a certs.d, and whose logins are in it."""
    folder = host.path(root)
    for each in sorted(folder.glob("*/*")):
        path = f"{root}/{each.relative_to(folder)}"
        if each.name == "hosts.toml":
            report["logins"] += header_logins(path, take(host, report, path))
            for name in _authorities(path, report["files"].get(path, "")):
                take(host, report, name)
        elif each.suffix == ".crt":
            take(host, report, path)


def users(host: Host, path: str) -> List[str]:
    """The names in a password file."""
    state = files.read(host.path(path))
    lines = state.content.decode(errors="replace").splitlines() if state else []
    return [line.partition(":")[0] for line in lines if ":" in line and not line.startswith("#")]


def header_logins(path: str, text: str) -> List[Dict[str, str]]:
    """The users of the Authorization headers of a hosts.toml; no passwords."""
    found = []
    document = _document(path, text)
    for url, table in [*(document.get("host") or {}).items(), (document.get("server"), document)]:
        for key, value in ((table or {}).get("header") or {}).items():
            value = value[0] if isinstance(value, list) and value else value
            if key.lower() == "authorization" and url:
                found.append({"file": path, "server": str(url), "user": user_of(str(value)), "by": "header"})
    return found


def _document(path: str, text: str) -> Mapping[str, Any]:
    try:
        return toml_text.parsed(text, path).unwrap()
    except HostError:
        return {}


def _authorities(path: str, text: str) -> List[str]:
    document = _document(path, text)
    tables = [document, *(document.get("host") or {}).values()]
    listed = [table.get("ca") or [] for table in tables if isinstance(table, dict)]
    names = [name for each in listed for name in (each if isinstance(each, list) else [each])]
    return [posixpath.join(posixpath.dirname(path), str(name)) for name in names]


def user_of(authorization: str) -> str:
    """The user of a Basic login; empty where it is none."""
    scheme, _, rest = authorization.partition(" ")
    login = docker_cli_config.decoded(rest) if scheme.lower() == "basic" else None
    return login.user if login else ""
