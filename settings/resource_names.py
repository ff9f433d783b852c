"""What the resources of a host are called in a stack: who targets, forgets or renames a host goes by it.

A host's own are `HOST` and `HOST-part`; those of a registry there are `HOST.registry` and `HOST.registry-part`, since a
registry can move: on another host its containers are others, and are there before the old ones go.
"""

from __future__ import annotations

import re

from hostctl.units import UNITS

HOST = "http-registry:index:Host"
"""The type of the component that a host is."""

SETTLED = "nginx-proxy-settled"
"""The last step of a whole `up`: it comes after all hosts, so that one host alone is brought up without it."""

PARTS = {
    "docker": ["docker"],
    "Command": ["python", "firewall-confirmed", "ssh-access-confirmed", SETTLED, *UNITS],
    "CopyToRemote": ["hostctl", "registries-archive"],
    "RemoteImage": ["registries-image"],
    "Network": ["registries-network"],
    "RegistryBase": ["registries"],
    "RuntimeMirrorConfig": ["runtimes"],
    "NginxAuthProxy": ["nginx"],
    "FloatingAddress": ["floating-address"],
    "FirewallPolicy": ["firewall"],
    "GarbageCollection": ["garbage-collection"],
    "OfflineSync": ["offline-sync"],
    "PullMetrics": ["pull-metrics"],
    "Prometheus": ["prometheus"],
}
"""The parts by the last word of their type. Without the type, `a-docker` may be a part of `a` or another host."""


def of_registry(host: str, registry: str) -> str:
    """A registry on a host; host names have no dots."""
    return f"{host}.{registry}"


def _without_hash(name: str) -> str:
    """An image's resource is called after the image as well."""
    return re.sub(r"(?<=-registries-image)-[0-9a-f]{8}$", "", name)


def is_on(kind: str, name: str, host: str) -> bool:
    """Whether a resource of that type and name is on the host."""
    if kind == HOST:
        return name == host
    parts = PARTS.get(kind.rpartition(":")[2], [])
    return name.startswith(f"{host}.") or _without_hash(name) in [f"{host}-{part}" for part in parts]


def before_renaming(kind: str, name: str, host: str, was: str) -> str | None:
    """What a resource was called when its host was; None where it is on another host."""
    return was + name.removeprefix(host) if is_on(kind, name, host) else None


def targets(host: str) -> list[str]:
    """Patterns for `pulumi --target` that find all on the host but `SETTLED`, also what is not there yet."""
    parts = [f"**:{kind}::{host}-{part}" for kind, names in PARTS.items() for part in names if part != SETTLED]
    parts += [f"**:RemoteImage::{host}-registries-image-**"]
    return [f"**:{HOST}::{host}", f"**::{host}.**", *parts]
