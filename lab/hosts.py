"""The lab's hosts and networks: the one table that `lab/`, the tests and the lab's stack read."""

from __future__ import annotations

from dataclasses import dataclass

SSH_PORT = 2222
"""The port on the host's loopback address where its sshd is published."""

HUB_PORT = 5000
"""The port of the stand-in for Docker Hub on the host `hub`."""

DOCKER = ("docker.socket", "docker.service", "containerd.service")
CONTAINERD = ("containerd.service",)


@dataclass(frozen=True)
class Network:
    """A Docker network on a bridge of its own. `subnet6`: its IPv6 network, a /64."""

    name: str
    subnet: str
    subnet6: str
    bridge: str

    @property
    def gateway(self) -> str:
        """The machine's own address in this network; a host sees the controller come from here."""
        return self.subnet.rsplit(".", 1)[0] + ".1"

    def address6(self, address: str) -> str:
        """The IPv6 address of whoever has that IPv4 address in this network: it ends in the same digits."""
        return self.subnet6.removesuffix("/64") + address.rpartition(".")[2]


@dataclass(frozen=True)
class Route:
    """The routes of both families that a host has from its boot on: to a network over a host's address in its own."""

    to: Network
    via: str


@dataclass(frozen=True)
class Host:
    """A host: a container that runs systemd, sshd and the services named here."""

    name: str
    address: str
    network: Network
    services: tuple[str, ...]
    """Units that are enabled; Debian's other ones of the image are installed and disabled."""
    second: tuple[Network, str] | None = None
    """A second network and the host's address in it."""
    route: Route | None = None
    programs: tuple[str, ...] = ()
    """Programs of lab/go that the host's services run, in place of Debian's older ones where there are some."""

    @property
    def container(self) -> str:
        """The name of the host's container."""
        return f"http-registry-lab-{self.name}"

    @property
    def address6(self) -> str:
        """Its IPv6 address in its network."""
        return self.network.address6(self.address)

    @property
    def ssh_address(self) -> str:
        """The loopback address where the controller finds this host's sshd, on port SSH_PORT."""
        third, fourth = self.address.split(".")[2:]
        return f"127.0.{third}.{fourth}"


INSIDE = Network("http-registry-lab", "192.168.1.0/24", "fd00:192:168:1::/64", "hrlab0")
OUTSIDE = Network("http-registry-lab-outside", "192.168.2.0/24", "fd00:192:168:2::/64", "hrlab1")
NETWORKS = (INSIDE, OUTSIDE)

HOSTS = (
    Host("hub", "192.168.1.10", INSIDE, (*DOCKER, "versitygw.service"), programs=("versitygw",)),
    Host("registry", "192.168.1.11", INSIDE, (*DOCKER, "nginx.service"), second=(OUTSIDE, "192.168.2.11")),
    Host("docker1", "192.168.1.21", INSIDE, DOCKER),
    Host("containerd1", "192.168.1.22", INSIDE, CONTAINERD),
    Host("containerd2", "192.168.1.23", INSIDE, CONTAINERD, programs=("containerd",)),
    Host(
        "docker2",
        "192.168.1.24",
        INSIDE,
        (*DOCKER, "buildkit.service"),
        programs=("containerd", "dockerd", "buildkit"),
    ),
    # No stack of the lab's own is on these: tests bring theirs up there, two tests at once on three each.
    Host("spare1", "192.168.1.31", INSIDE, (*DOCKER, "nginx.service")),
    Host("spare2", "192.168.1.32", INSIDE, (*DOCKER, "nginx.service")),
    Host("spare3", "192.168.1.33", INSIDE, (*DOCKER, "nginx.service")),
    Host("spare4", "192.168.1.34", INSIDE, (*DOCKER, "nginx.service")),
    Host("spare5", "192.168.1.35", INSIDE, (*DOCKER, "nginx.service")),
    Host("spare6", "192.168.1.36", INSIDE, (*DOCKER, "nginx.service")),
    Host("outsider", "192.168.2.31", OUTSIDE, DOCKER, route=Route(INSIDE, "192.168.2.11")),
)


def host(name: str) -> Host:
    """The host of that name; a KeyError that lists the names when there is none."""
    for candidate in HOSTS:
        if candidate.name == name:
            return candidate
    raise KeyError(f"no host {name!r} in the lab; there are {', '.join(h.name for h in HOSTS)}")
