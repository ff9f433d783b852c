"""hosts.toml and certificates in a registry's folder, as containerd's resolver reads them; dockerd has the same one.

Sources: containerd's docs/hosts.md and core/remotes/docker/config/hosts.go (v2.4.2; in 1.6 remotes/docker/config). A
file that can't be decoded is passed over: an error in the log, and the real registry is asked. Before 2.0 that is also
one without a [host] table; seen with 1.6.20.
"""

from __future__ import annotations

import posixpath
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from doctor.pull import Endpoint
from doctor.steps.asked import real, stands_for
from hostctl import certs_folders, files, toml_text
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.hosts_toml import PULL

CAPABILITIES = (*PULL, "push", "referrers")
_TEXT, _TEXTS = "a string", "a string or a list of strings"
_KINDS = {
    "capabilities": "a list of strings",
    "ca": _TEXTS,
    "client": "a string or a list",
    "skip_verify": "true or false",
    "header": "a table",
    "override_path": "true or false",
    "dial_timeout": _TEXT,
    "server": _TEXT,
    "host": "a table",
}


class Undecodable(Exception):
    """A hosts.toml that is passed over; `key`: which one is wrong, empty where it is no TOML."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


class Rules(NamedTuple):
    """What counts for a registry. `path`: its hosts.toml, or the folder with its certificates; empty: there is none."""

    path: str
    endpoints: Tuple[Endpoint, ...]
    unable: Tuple[Tuple[str, str], ...] = ()
    """Endpoints that may not answer for a tag and its layers, each with its capabilities."""

    @property
    def all(self) -> int:
        """How many endpoints there are, with those that are unable."""
        return len(self.endpoints) + len(self.unable)


def rules(host: Host, roots: Sequence[str], registry: str, *, old: bool = False) -> Rules:
    """The rules for a registry below these folders. `old`: as containerd does before 2.0.

    Raises Undecodable, with the path of the file first.
    """
    for folder in (f"{root}/{name}" for root in roots for name in certs_folders.names(registry)):
        if not host.path(folder).is_dir():
            continue
        path = f"{folder}/hosts.toml"
        state = files.read(host.path(path))
        if state is None or not state.content:
            return Rules(folder, (_itself(registry, f"no hosts.toml in {folder}", certificates(host, folder)),))
        try:
            found, unable = parsed(state.content, path, registry, old=old)
        except Undecodable as wrong:
            raise Undecodable(wrong.key, f"{path}: {wrong}") from wrong
        return Rules(path, tuple(found), tuple(unable))
    return Rules("", (_itself(registry, f"no hosts.toml for {registry}", ()),))


def certificates(host: Host, folder: str) -> Tuple[str, ...]:
    """The authorities in a registry's folder: every *.crt."""
    return tuple(f"{folder}/{each.name}" for each in sorted(host.path(folder).glob(f"*{certs_folders.SUFFIX}")))


def parsed(
    content: bytes, path: str, registry: str, *, old: bool = False
) -> Tuple[List[Endpoint], List[Tuple[str, str]]]:
    """The endpoints in the order in which they are asked, and those that are unable. Raises Undecodable."""
    try:
        document = toml_text.parsed(toml_text.decoded(content, path), path).unwrap()
    except HostError as broken:
        raise Undecodable("", str(broken).partition(": ")[2].partition(";")[0]) from broken
    _check(document)
    hosts: Mapping[str, Any] = document.get("host") or {}
    if old and not hosts:
        raise Undecodable("host", "invalid `host` tree: without a [host] table containerd before 2.0 passes it over")
    entries = [*hosts.items(), (document.get("server") or real(registry), document)]
    for url, table in hosts.items():
        if not isinstance(table, dict):
            raise Undecodable("host", f"[host.{url!r}] must be a table")
        _check(table)
    endpoints, unable = [], []
    for url, table in entries:
        endpoint = _endpoint(url, table, path, registry, old)
        able = [each.lower() for each in table.get("capabilities") or CAPABILITIES]
        if set(PULL) <= set(able):
            endpoints.append(endpoint)
        else:
            unable.append((endpoint.url, str(table["capabilities"])))
    return endpoints, unable


def _check(table: Mapping[str, Any]) -> None:
    for key, kind in _KINDS.items():
        if key in table and not _is(kind, table[key]):
            raise Undecodable(key, f"{key} = {table[key]!r}: must be {kind}")
    for each in table.get("capabilities") or []:
        if each.lower() not in CAPABILITIES:
            raise Undecodable("capabilities", f"unknown capability {each!r}: {', '.join(CAPABILITIES)}")


def _is(kind: str, value: Any) -> bool:
    if kind == _TEXT:
        return isinstance(value, str)
    if kind == "true or false":
        return isinstance(value, bool)
    if kind == "a table":
        return isinstance(value, dict)
    if isinstance(value, str):
        return kind != "a list of strings"
    return isinstance(value, list) and (kind == "a string or a list" or all(isinstance(each, str) for each in value))


def _endpoint(url: str, table: Mapping[str, Any], path: str, registry: str, old: bool) -> Endpoint:
    try:
        parts = urlsplit(url if url.startswith("http") else f"https://{url}")
        port = parts.port
    except ValueError as wrong:
        raise Undecodable("host", f"{url!r} is no URL: {wrong}") from wrong
    place = posixpath.normpath(parts.path) if parts.path else ""
    prefix = place if table.get("override_path") or place.endswith("/v2") else f"{place.rstrip('/')}/v2"
    listed = table.get("ca") or []
    authorities = [listed] if isinstance(listed, str) else listed
    # With TLS settings, from 2.0 on a server over HTTP is asked by HTTPS first, save on port 80.
    both = not old and parts.scheme == "http" and port not in (None, 80) and _has_tls(table)
    place_of = posixpath.dirname(path)
    return Endpoint(
        f"{'https' if both else parts.scheme}://{parts.netloc}",
        path,
        prefix,
        tuple(posixpath.join(place_of, each) for each in authorities),
        verify=not table.get("skip_verify", False),
        plain_too=both,
        authorization=_authorization(table.get("header") or {}),
        namespace=stands_for(registry, f"{parts.scheme}://{parts.netloc}"),
    )


def _has_tls(table: Mapping[str, Any]) -> bool:
    return any(key in table for key in ("ca", "client", "skip_verify"))


def _authorization(header: Mapping[str, Any]) -> str:
    value: Optional[Any] = next((value for key, value in header.items() if key.lower() == "authorization"), None)
    return str(value[0] if isinstance(value, list) and value else value or "")


def _itself(registry: str, said_by: str, authorities: Tuple[str, ...]) -> Endpoint:
    return Endpoint(real(registry), said_by, authorities=authorities)
