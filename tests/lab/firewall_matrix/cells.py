"""The matrix as data: what listens, who asks, and what has to become of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.hosts import Host, host

REGISTRY = host("registry")
ALLOWED = host("docker1")
"""The only one whom the policy lets in."""
NO_POLICY = "no policy"
BACKENDS = ("iptables-nft", "iptables-legacy", "nftables")
LOOPBACK = "127.0.0.1"
OPEN, DROPPED = "open", "dropped"


@dataclass(frozen=True)
class Listener:
    """What listens. `proxied`: whether docker-proxy stands in for published ports while it is asked."""

    title: str
    port: int
    proxied: bool = True
    published_on_loopback: bool = False
    is_container: bool = False
    """Whether the container is asked at its own address."""


PROCESS, PUBLISHED, LOCAL, HOST_NETWORK, INNER = 9101, 9102, 9103, 9104, 5000
GUARDED = (PROCESS, PUBLISHED, LOCAL, HOST_NETWORK)
LISTENERS = (
    Listener("host process", PROCESS),
    Listener("published port", PUBLISHED),
    Listener("published port, no docker-proxy", PUBLISHED, proxied=False),
    Listener("published on 127.0.0.1", LOCAL, published_on_loopback=True),
    Listener("published on 127.0.0.1, no docker-proxy", LOCAL, proxied=False, published_on_loopback=True),
    Listener("container's own address", INNER, is_container=True),
    Listener("host-network container", HOST_NETWORK),
)


@dataclass(frozen=True)
class Way:
    """Who asks, and at which of the host's addresses."""

    title: str
    asker: Host
    address: str
    another: bool = False
    """Whether it differs from another way by the address only."""

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4

    @property
    def allowed(self) -> bool:
        """Whether the policy lets the asker in."""
        return self.asker in (ALLOWED, REGISTRY)


assert REGISTRY.second
SECOND = REGISTRY.second[1]
SECOND6 = REGISTRY.second[0].address6(SECOND)
WAYS = (
    Way("allowed", ALLOWED, REGISTRY.address),
    Way("allowed, second address", ALLOWED, SECOND, another=True),
    Way("denied, same network", host("docker2"), REGISTRY.address),
    Way("denied, second network", host("outsider"), SECOND),
    Way("denied, second network, first address", host("outsider"), REGISTRY.address, another=True),
    Way("IPv6, allowed", ALLOWED, REGISTRY.address6),
    Way("IPv6, denied, same network", host("docker2"), REGISTRY.address6),
    Way("IPv6, denied, second network", host("outsider"), SECOND6),
    Way("the host itself", REGISTRY, REGISTRY.address),
    Way("the host itself, IPv6", REGISTRY, REGISTRY.address6),
)


@dataclass(frozen=True)
class Cell:
    """One connection, and what was seen; `skipped`: why it was not tried."""

    backend: str
    listener: Listener
    way: Way
    seen: str = ""
    skipped: str = ""

    @property
    def wanted(self) -> str:
        """What must be seen. A port published on 127.0.0.1 is the host's own, whoever else is allowed."""
        if self.backend == NO_POLICY or self.way.asker is REGISTRY:
            return OPEN
        return OPEN if self.way.allowed and not self.listener.published_on_loopback else DROPPED

    @property
    def right(self) -> bool:
        """Whether it was seen, or can't be."""
        return bool(self.skipped) or self.seen == self.wanted


def why_not(listener: Listener, way: Way) -> str:
    """Why a cell can't be tried; empty where it can."""
    if listener.published_on_loopback and way.family == 6:
        return "no kernel takes a packet to ::1 from outside, and Docker publishes on the loopback address of IPv4 here"
    if listener.published_on_loopback and way.another:
        return "127.0.0.1 is the same at each of the host's addresses"
    if listener.is_container and way.another:
        return "a container has an address of its own, whichever of the host's the route goes by"
    return ""


def place(listener: Listener, way: Way, container: Mapping[int, str]) -> tuple[str, int, str]:
    """Address, port and, where the address alone doesn't lead there, the asker's interface."""
    if listener.is_container:
        return container[way.family], listener.port, ""
    if listener.published_on_loopback:
        return LOOPBACK, listener.port, "" if way.asker is REGISTRY else "eth0"
    return way.address, listener.port, ""
