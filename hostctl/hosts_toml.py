"""hosts.toml: which endpoints containerd asks for a registry, in which order, and what each may answer.

Format and folders: containerd docs/hosts.md and core/remotes/docker/config/hosts.go (the same in 1.6.20 and 2.4.2).
Changes below `config_path` need no restart.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Tuple

from hostctl.unit import HEADER

PULL = ("pull", "resolve")
"""What a mirror may answer: blobs, and which image a tag is."""
PUSH = (*PULL, "push")


class Endpoint(NamedTuple):
    """A server to ask. No `capabilities` are all of them."""

    url: str
    capabilities: Tuple[str, ...] = ()
    ca: str = ""
    """A file on the host."""
    client: Tuple[str, ...] = ()
    """Files on the host: a certificate and its key."""
    skip_verify: bool = False
    override_path: bool = False
    """Whether the URL's path is the root of the registry API, so that no /v2 is appended."""
    authorization: str = ""
    """The value of a header that goes with every request."""
    headers: Tuple[Tuple[str, str], ...] = ()
    """More of them."""
    dial_timeout: str = ""
    """How long a connection may take to come about; containerd's own 30 s if empty. containerd 1.6 does not heed it."""


def folder(registry: str) -> str:
    """The folder below `config_path` in which containerd looks first for a registry (`*`: any without its own)."""
    if registry == "*":
        return "_default"
    host, colon, port = registry.rpartition(":")
    return f"{host}_{port}_" if colon and host else registry


def text(hosts: Sequence[Endpoint], server: Optional[Endpoint] = None) -> str:
    """A hosts.toml of ours: `hosts` are asked in this order, then `server`, or without one the registry itself."""
    import tomlkit

    lines = [f"# {HEADER}"]
    if server:
        lines += [f"server = {tomlkit.item(server.url).as_string()}", *_options(server)]
    for each in hosts:
        lines += ["", f"[host.{tomlkit.item(each.url).as_string()}]", *_options(each)]
    return "\n".join(lines) + "\n"


def _options(endpoint: Endpoint) -> List[str]:
    import tomlkit

    options = {
        "capabilities": list(endpoint.capabilities),
        "ca": endpoint.ca,
        "client": [list(endpoint.client)] if endpoint.client else [],
        "skip_verify": endpoint.skip_verify,
        "override_path": endpoint.override_path,
        "dial_timeout": endpoint.dial_timeout,
    }
    lines = [f"{key} = {tomlkit.item(value).as_string()}" for key, value in options.items() if value]
    login = [("Authorization", endpoint.authorization)] if endpoint.authorization else []
    headers = [f"{name} = {tomlkit.item(value).as_string()}" for name, value in (*login, *endpoint.headers)]
    return [*lines, f"header = {{ {', '.join(headers)} }}"] if headers else lines
