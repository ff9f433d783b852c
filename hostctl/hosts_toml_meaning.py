"""What a hosts.toml means, whoever wrote it: who is asked, in which order, for what. Pure text work.

So that a file of somebody else that says already what ours would is left as it is. Read as containerd does
(docs/hosts.md; core/remotes/docker/config/hosts.go); Docker's is the same one.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

from hostctl import toml_text
from hostctl.errors import HostError

OPERATIONS = ("pull", "resolve", "push")
HUB = "docker.io"
HUB_SERVER = "registry-1.docker.io"
KNOWN = {"capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout", "server", "host"}
"""Keys whose meaning is compared; a file with another one is nobody's equal."""


class Asked(NamedTuple):
    """A server as it is asked; `headers` by lower-case names."""

    url: str
    authorities: Tuple[str, ...] = ()
    client: Tuple[Tuple[str, ...], ...] = ()
    verify: bool = True
    headers: Tuple[Tuple[str, str], ...] = ()
    dial_timeout: str = ""


Meaning = Dict[str, List[Asked]]
"""The servers for each of `OPERATIONS`, in the order in which they are asked."""


def registry_of(path: str) -> str:
    """The registry that a hosts.toml is for, by its folder; `*` for `_default`."""
    name = posixpath.basename(posixpath.dirname(path))
    found = re.fullmatch(r"(.+)_(\d+)_", name)
    return "*" if name == "_default" else f"{found[1]}:{found[2]}" if found else name


def same(path: str, one: bytes, other: bytes) -> bool:
    """Whether two contents of the file mean the same; False where one of them can't be read."""
    first = meaning(path, one)
    return first is not None and first == meaning(path, other)


def meaning(path: str, content: bytes) -> Optional[Meaning]:
    """What the file means; None where it can't be read, or where not every version reads it in one way."""
    try:
        document = toml_text.parsed(toml_text.decoded(content, path), path).unwrap()
    except HostError:
        return None
    hosts = document.get("host")
    # Without a [host] table containerd before 2.0 passes the file over.
    if not isinstance(hosts, dict) or not hosts or not all(isinstance(each, dict) for each in hosts.values()):
        return None
    registry = registry_of(path)
    asked: Meaning = {each: [] for each in OPERATIONS}
    for url, table in [*hosts.items(), (str(document.get("server") or registry), document)]:
        if set(table) - KNOWN:
            return None
        server = _asked(url, table, path, registry)
        able = [str(each).lower() for each in table.get("capabilities") or OPERATIONS]
        for operation in OPERATIONS:
            if operation in able and server not in asked[operation]:
                asked[operation].append(server)
    return asked


def _asked(url: str, table: Mapping[str, Any], path: str, registry: str) -> Asked:
    parts = urlsplit(url if re.match(r"https?://", url) else f"https://{url}")
    name = HUB_SERVER if registry == HUB and parts.netloc == HUB else parts.netloc
    place = posixpath.normpath(parts.path) if parts.path.strip("/") else ""
    prefix = place if table.get("override_path") or place.endswith("/v2") else f"{place}/v2"
    folder = posixpath.dirname(path)
    pairs = table.get("client") or []
    pairs = [pairs] if isinstance(pairs, str) else pairs
    headers = table.get("header") or {}
    return Asked(
        f"{parts.scheme}://{name}{prefix}",
        tuple(posixpath.join(folder, str(each)) for each in _listed(table.get("ca"))),
        tuple(tuple(posixpath.join(folder, str(file)) for file in _listed(each)) for each in pairs),
        # Nothing is verified over HTTP.
        parts.scheme == "http" or not table.get("skip_verify", False),
        tuple(sorted((str(key).lower(), ",".join(map(str, _listed(each)))) for key, each in headers.items())),
        str(table.get("dial_timeout") or ""),
    )


def _listed(value: Any) -> List[Any]:
    return value if isinstance(value, list) else [value] if value else []
