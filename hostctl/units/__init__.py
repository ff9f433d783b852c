"""The units by the name that a request uses, in the order in which they go: first who uses a registry, last its guard,
and what lets us in.

Only the one that is asked for is imported: that keeps the start short.
"""

from __future__ import annotations

from importlib import import_module

from hostctl.errors import HostError
from hostctl.unit import Unit

UNITS = {
    "docker-mirrors": "DockerMirrors",
    "docker-relay": "DockerRelay",
    "containerd-mirrors": "ContainerdMirrors",
    "buildkit-mirrors": "BuildkitMirrors",
    "docker-cli": "DockerCli",
    "prometheus": "Prometheus",
    "pull-metrics": "PullMetrics",
    "offline-sync": "OfflineSync",
    "garbage-collection": "GarbageCollection",
    "floating-address": "FloatingAddress",
    "nginx-proxy": "NginxProxy",
    "origin": "Origin",
    "docker-image": "DockerImage",
    "authorities": "Authorities",
    "firewall": "Firewall",
    "ssh-access": "SshAccess",
}


def unit_named(name: str) -> Unit:
    """A unit by name. Raises HostError for a name that there is not."""
    if name not in UNITS:
        raise HostError(f"unit {name!r}: there is none of that name; known: {', '.join(sorted(UNITS))}")
    unit: Unit = getattr(import_module(f"hostctl.units.{name.replace('-', '_')}"), UNITS[name])()
    return unit
