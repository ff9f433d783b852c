"""Which Docker Engine a host has, and what this version does with a changed configuration.

Sources: moby's daemon/reload.go, daemon/hosts.go and daemon/config/config.go at the tags named below, and its release
notes; docs/docker.md tells what was seen running.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional, Tuple

from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.systemd import service

Version = Tuple[int, int, int]
OLDEST, NEWEST_MAJOR = (20, 10, 0), 29
HOSTS_TOML_SINCE = 28
STORE = ["driver-type", "io.containerd.snapshotter.v1"]
"""How GET /info says, in DriverStatus, that images are in containerd's store."""
LOOPBACK = ("::1/128", "127.0.0.0/8")
_UNNUMBERED = 9999


class Engine(NamedTuple):
    """An engine by its version. `store`: whether its images are in containerd's store, None where nobody can say."""

    version: Version
    name: str
    store: Optional[bool] = None

    @property
    def reads_hosts_toml(self) -> Optional[bool]:
        """Whether /etc/docker/certs.d/<registry>/hosts.toml counts; None where nobody can say."""
        return self.store if self.version[0] >= HOSTS_TOML_SINCE else False

    @property
    def validates(self) -> bool:
        """Whether there is `dockerd --validate`."""
        return self.version[0] >= 23

    @property
    def loopback(self) -> Tuple[str, ...]:
        """What it takes for insecure only while insecure-registries is absent (moby#53868); before, it always did."""
        return LOOPBACK if self.version >= (29, 10, 0) else ()

    @property
    def reload_loses_insecure(self) -> bool:
        """Whether SIGHUP with both lists drops the insecure registries (moby#45552)."""
        return (23, 0, 0) <= self.version < (23, 0, 7) or self.version == (24, 0, 0)

    @property
    def reload_loses_dns(self) -> bool:
        """Whether containers made after a SIGHUP get "invalid IP" for the daemon's `dns` (moby#52056)."""
        return (29, 0, 0) <= self.version < (29, 3, 0)

    @property
    def reload_loses_host_gateway(self) -> bool:
        """Whether containers made after a SIGHUP have no `host-gateway` (moby#52057)."""
        return (28, 0, 0) <= self.version < (29, 3, 0)

    @property
    def note(self) -> Optional[str]:
        """What a person should know about this version."""
        if self.version[0] <= NEWEST_MAJOR:
            return None
        return f"Docker {self.name} is newer than any that we know; treated as {NEWEST_MAJOR}"


def known(name: str, store: Optional[bool] = None) -> Engine:
    """The engine of that version. Raises HostError for one that is too old, or no version at all."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?(-dev)?", name)
    if not found:
        raise HostError(f"dockerd: calls its version {name!r}, which is none that we know; install a released Docker")
    major, minor, patch = (int(each or 0) for each in found.groups()[:3])
    # A development build says nothing of its place within its major version: it counts as the last.
    version = (major, _UNNUMBERED, 0) if found[4] else (major, minor, patch)
    if version < OLDEST:
        raise HostError(
            f"dockerd: Docker {name} is older than 20.10, the oldest that is supported; upgrade it, "
            "or take the host out of the Docker mirrors"
        )
    return Engine(version, name, store)


def installed(host: Host, program: str) -> Engine:
    """The engine of a dockerd that does not run."""
    return known(host.must(program, "--version").strip().removeprefix("Docker version ").split(",")[0])


def running(host: Host) -> Engine:
    """The engine that answers."""
    from hostctl import docker_api  # an HTTP client, which `observe` has no use for

    info = docker_api.get(host, "/info")
    return known(info["ServerVersion"], STORE in (info.get("DriverStatus") or []))


def found(host: Host, program: str) -> Engine:
    """The engine that the service runs, or would run with that program."""
    return running(host) if service(host, "docker").runs else installed(host, program)
