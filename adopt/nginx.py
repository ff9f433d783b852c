"""nginx's effective configuration, and who the users of its password files are."""

from __future__ import annotations

import re
from typing import Any, Dict

from adopt import texts
from hostctl.host import Host

_PASSWORDS = re.compile(r"^\s*auth_basic_user_file\s+([^;\s]+)\s*;", re.M)
_CERTIFICATES = re.compile(r"^\s*ssl_certificate\s+([^;\s]+)\s*;", re.M)
FOLDER = "/etc/nginx"


def read(host: Host, report: Dict[str, Any]) -> None:
    """Take `nginx -T`. Its own check comes with it: a configuration that nginx refuses is told, not read."""
    if not host.has("nginx"):
        return
    text = host.must("nginx", "-T")
    report["nginx"] = texts.hidden(text)
    for name in _PASSWORDS.findall(text):
        path = _absolute(name)
        report["users"][path] = texts.users(host, path)
    for name in _CERTIFICATES.findall(text):
        texts.take(host, report, _absolute(name))


def _absolute(name: str) -> str:
    name = name.strip("\"'")
    return name if name.startswith("/") else f"{FOLDER}/{name}"
