"""hosts.toml of a registry that is pulled through mirrors, and of one of our own (the format: hostctl, hosts_toml)."""

from __future__ import annotations

from documents.access import Access
from documents.document import Document
from hostctl import hosts_toml
from hostctl.hosts_toml import PULL, PUSH, Endpoint
from settings.peer import Peer

OPEN = Access()
"""Servers that let everybody in."""


BY_DIGEST = ("pull",)
"""What a peer may answer: which image a tag is, it may not say."""
PEER_DIAL = "200ms"
"""How long a connection to a peer may take, in containerd 2.1 and newer: it is on the host, or it is away. The same as
in the hosts.toml that Spegel writes."""


def mirror(*endpoints: str, fallback: bool, access: Access = OPEN, peer: Peer | None = None) -> str:
    """hosts.toml of a registry that is pulled through mirrors, asked in this order; `peer` before them.

    With `fallback` the real registry is asked when all have failed; without, the last one stands in its place.
    """
    last = None if fallback else access.endpoint(endpoints[-1])
    hosts = [access.endpoint(each, PULL) for each in endpoints]
    return hosts_toml.text([*_peer(peer, hosts[0]), *hosts], last)


def hosted(endpoint: str, *mirrors: str, access: Access = OPEN, peer: Peer | None = None) -> str:
    """hosts.toml of a registry of our own, which takes pushes too; it tells containerd the scheme."""
    hosts = [*(access.endpoint(each, PULL) for each in mirrors), access.endpoint(endpoint, PUSH)]
    return hosts_toml.text([*_peer(peer, hosts[0]), *hosts], access.endpoint(endpoint))


def _peer(peer: Peer | None, behind: Endpoint) -> list[Endpoint]:
    """The peer before an endpoint of ours. Dragonfly has to know where to fetch what no host has, and with which
    login. Source: d7y.io/docs, container runtime containerd."""
    if peer is None:
        return []
    asked = Endpoint(peer.url, BY_DIGEST, dial_timeout=PEER_DIAL)
    if peer.kind == "dragonfly":
        asked = asked._replace(headers=(("X-Dragonfly-Registry", behind.url),), authorization=behind.authorization)
    return [asked]


def document(folder: str, text: str) -> Document:
    """The file in a registry's folder; root's alone where it holds a login."""
    return Document(f"{folder}/hosts.toml", text, 0o600 if "header = { Authorization" in text else 0o644)
