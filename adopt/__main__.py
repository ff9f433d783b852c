"""One answer of one host: a request on stdin, a report on stdout, both JSON.

Request: `{}`. Report: `{"files": {path: text}, "docker": {...}, "containerd": {...}, "containers": [...], "nginx":
[...], "users": {path: [name]}, "logins": [...], "ports": [...], "addresses": [...], "silent": [...]}`, see the modules
beside this one; what is not there is null or empty. No secret is in it: passwords and keys are stars.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Callable, Dict, List, Mapping

from adopt import containerd, docker, nginx, registries, rules
from hostctl.errors import HostError, described
from hostctl.host import Host

PARTS: Mapping[str, Callable[[Host, Dict[str, Any]], None]] = {
    "docker": docker.read,
    "containerd": containerd.read,
    "registries": registries.read,
    "nginx": nginx.read,
    "firewall": rules.read,
}
"""In their order: the last one asks for the ports that the others have found."""


def answer(host: Host) -> Dict[str, Any]:
    """The report. A part that can't be read is told, and the others are read all the same."""
    silent: List[str] = []
    report: Dict[str, Any] = {
        "files": {}, "docker": None, "containerd": None, "containers": [], "nginx": [], "users": {}, "logins": [],
        "ports": [], "addresses": [], "silent": silent,
    }  # fmt: skip
    for name, read in PARTS.items():
        try:
            read(host, report)
        except (HostError, OSError, ValueError, KeyError, TypeError) as wrong:
            silent.append(f"{name}: can't be read: {wrong if isinstance(wrong, HostError) else described(wrong)}")
    return report


def main() -> None:
    """Answer one request."""
    sys.stdin.read()
    print(json.dumps(answer(Host())), flush=True)
