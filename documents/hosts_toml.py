"""hosts.toml of a registry that is pulled through mirrors, and of one of our own (the format: hostctl, hosts_toml)."""

from __future__ import annotations

from hostctl import hosts_toml
from hostctl.hosts_toml import PULL, PUSH, Endpoint


def mirror(*endpoints: str, fallback: bool) -> str:
    """hosts.toml of a registry that is pulled through mirrors, asked in this order.

    With `fallback` the real registry is asked when all have failed; without, the last one stands in its place.
    """
    return hosts_toml.text([Endpoint(each, PULL) for each in endpoints], None if fallback else Endpoint(endpoints[-1]))


def hosted(endpoint: str, *mirrors: str) -> str:
    """hosts.toml of a registry of our own, which takes pushes too; it tells containerd the scheme."""
    return hosts_toml.text([*(Endpoint(each, PULL) for each in mirrors), Endpoint(endpoint, PUSH)], Endpoint(endpoint))
