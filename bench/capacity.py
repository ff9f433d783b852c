"""What follows from a measured cost for other machines. Pure; the formulas stand in docs/scale.md."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

ETHERNET = 0.94
"""What is left of a NIC's nominal rate for the bytes of a TCP connection: headers of TCP, IP and Ethernet, MTU 1500."""
FLOOR = 80e6
"""Bytes of a gzip layer that one client unpacks in a second, about: one core, Go's gzip. No network makes it faster."""
REQUESTS, CONNECTIONS = 12, 4
"""Of one pull of an image with eight layers: a tag, an index, a manifest, a configuration, the layers; about as many as
containerd and Docker open connections for."""


@dataclass(frozen=True)
class Cost:
    """nginx's processor seconds: `request`: of a small one; `connection`: of one that comes with a connection of its
    own; `byte`: of one in a large answer."""

    request: float
    connection: float
    byte: float

    def pull(self, size: float) -> float:
        """Of an image of that many compressed bytes."""
        kept = (REQUESTS - CONNECTIONS) * self.request
        return kept + CONNECTIONS * self.connection + size * self.byte


@dataclass(frozen=True)
class Proxy:
    """A proxy. `gigabits`: of its NIC."""

    gigabits: float
    cores: int
    cost: Cost

    @property
    def wire(self) -> float:
        """Bytes a second that its NIC carries."""
        return self.gigabits * 1e9 / 8 * ETHERNET

    @property
    def bytes(self) -> float:
        """Bytes a second: the NIC's, or what its cores send."""
        return min(self.wire, self.cores / self.cost.byte)

    @property
    def bound(self) -> str:
        """What sets them."""
        return "NIC" if self.wire <= self.cores / self.cost.byte else "cores"

    @property
    def requests(self) -> float:
        """Small requests a second: what its cores answer."""
        return self.cores / self.cost.request

    @property
    def cores_for_the_wire(self) -> float:
        """How many cores it takes to fill the NIC."""
        return self.wire * self.cost.byte

    def seconds(self, clients: int, size: float) -> float:
        """Until all of them have an image that is in the cache. `size`: compressed bytes.

        The slowest counts: the wire for all, the cores for all, or one client that unpacks.
        """
        return max(clients * size / self.wire, clients * self.cost.pull(size) / self.cores, size / FLOOR)

    def clients(self, size: float, within: float) -> int:
        """How many get an image of that size within so many seconds; none where one client unpacks longer."""
        if size / FLOOR > within:
            return 0
        return int(within / max(size / self.wire, self.cost.pull(size) / self.cores))

    def needed(self, clients: int, size: float, within: float) -> int | None:
        """How many such proxies it takes, each for its share of the clients; None where none of them is in time."""
        carried = self.clients(size, within)
        return ceil(clients / carried) if carried else None
