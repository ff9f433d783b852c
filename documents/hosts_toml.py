"""hosts.toml of a registry that is pulled through mirrors, and of one of our own (the format: hostctl, hosts_toml)."""

from __future__ import annotations

from documents.access import Access
from documents.document import Document
from hostctl import hosts_toml
from hostctl.hosts_toml import PULL, PUSH

OPEN = Access()
"""Servers that let everybody in."""


def mirror(*endpoints: str, fallback: bool, access: Access = OPEN) -> str:
    """hosts.toml of a registry that is pulled through mirrors, asked in this order.

    With `fallback` the real registry is asked when all have failed; without, the last one stands in its place.
    """
    last = None if fallback else access.endpoint(endpoints[-1])
    return hosts_toml.text([access.endpoint(each, PULL) for each in endpoints], last)


def hosted(endpoint: str, *mirrors: str, access: Access = OPEN) -> str:
    """hosts.toml of a registry of our own, which takes pushes too; it tells containerd the scheme."""
    hosts = [*(access.endpoint(each, PULL) for each in mirrors), access.endpoint(endpoint, PUSH)]
    return hosts_toml.text(hosts, access.endpoint(endpoint))


def document(folder: str, text: str) -> Document:
    """The file in a registry's folder; root's alone where it holds a login."""
    return Document(f"{folder}/hosts.toml", text, 0o600 if "header = { Authorization" in text else 0o644)
