"""A host with its neighbours and containers, as network namespaces of this machine, guarded by one of the backends."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from documents import firewall_rules
from hostctl.firewall_boot import BOOT_UNIT, UNIT_FILE
from hostctl.host import Finished, Host
from hostctl.nftables import COUNTER
from hostctl.systemd import WANTS
from hostctl.transaction import Transactions
from hostctl.units.firewall import Firewall
from settings.firewall import Firewall as Settings
from settings.firewall import Rule
from tests.programs.namespaces import PROGRAMS, Namespace, install

PUBLISHED, PLAIN, FREE, LOOPBACK, OUTSIDE = 5500, 5080, 7000, 7100, 9000
HOST, HOST6 = "10.9.1.1", "fd09:1::1"
FRIEND = "10.9.1.2"
STRANGERS_GATEWAY, STRANGERS_GATEWAY6 = "10.9.2.1", "fd09:2::1"
FRIENDS, FRIENDS6, STRANGERS, STRANGERS6 = "10.9.1.0/24", "fd09:1::/64", "10.9.2.0/24", "fd09:2::/64"
ALLOW = (FRIENDS, FRIENDS6)
CONTAINER, REGISTRY, GUEST, CONTAINER6 = "172.29.0.2", "172.30.0.2", "172.31.0.2", "fd09:29::2"
TABLES = ("filter", "nat", "mangle", "raw")
SERVER = """
import select, socket, sys
family = dict(family=socket.AF_INET6, dualstack_ipv6=True)
servers = [socket.create_server(("::", int(port)), backlog=64, **family) for port in sys.argv[1:]]
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("", int(sys.argv[1])))
clients = []
while True:
    for ready in select.select([*servers, echo, *clients], [], [])[0]:
        if ready in servers:
            clients.append(ready.accept()[0])
        elif ready is echo:
            echo.sendto(*echo.recvfrom(9))
        else:
            try:
                data = ready.recv(9)
                ready.sendall(data)
            except ConnectionError:
                data = b""
            if not data:
                clients.remove(ready)
                ready.close()
"""
"""Sends back what it gets, over TCP at all ports and over UDP at the first."""


@dataclass(frozen=True)
class Managed(Namespace):
    """A namespace with files of its own, where restarting a service runs what its unit's file says.

    `services`: what `systemctl show` says of the services that may guard a host.
    """

    services: str = ""

    def has(self, program: str) -> bool:
        # A timer that is armed here has no systemd that would start anything.
        return program == "systemd-run" or super().has(program)

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        if command[0] != "systemctl":
            return super().run(*command, stdin=stdin, timeout=timeout)
        if command[1] == "enable":
            self.path(WANTS).mkdir(parents=True, exist_ok=True)
            (self.path(WANTS) / BOOT_UNIT).touch()
        if command[1] == "restart":
            for line in self.path(UNIT_FILE).read_text().splitlines():
                if line.startswith("ExecStart=/bin/sh -c '"):
                    shell = line.split("'")[1].replace("/etc/http-registry", str(self.path("/etc/http-registry")))
                    self.must("sh", "-c", shell)
        return Finished(0, self.services if command[1] == "show" else "")

    def apply(self, *rules: Rule, containers: bool = False) -> dict[str, Any]:
        """What hostctl reports."""
        settings = Settings(allow=tuple(ALLOW), containers=containers)
        return Transactions(self).apply(Firewall(), firewall_rules.wish(rules, settings, 22))

    def remove(self) -> dict[str, Any]:
        return Transactions(self).remove(Firewall())


def rule(*ports: int, allow: Sequence[str] = ALLOW, interface: str | None = None) -> Rule:
    return Rule(ports=ports, allow=tuple(allow), interface=interface)


def everything(host: Namespace) -> list[str]:
    """All rules, without counters. iptables-nft leaves tables and chains behind that `-S` shows with the others."""
    if host.has("iptables"):
        listed = [host.must(program, "-t", each, "-S") for program in PROGRAMS for each in TABLES]
        # The nft variant warns of the legacy one's tables.
        listed = [re.sub("^# Warning: .*\n", "", each, flags=re.MULTILINE) for each in listed]
        return [*listed, *re.findall("table inet .*", host.must("nft", "list", "ruleset"))]
    return [COUNTER.sub("", host.must("nft", "list", "ruleset"))]


class World:
    """`host` between the networks of `friend` and `stranger`: a container on docker0, a registry, a guest on br-lan.

    The neighbours have no loopback of their own: they send what is for 127.0.0.1 to the host.
    """

    def __init__(self, tag: str, backend: str, folder: Path) -> None:
        self.backend = backend
        self.servers: list[subprocess.Popen[bytes]] = []
        programs = install(backend, folder)
        names = ("host", "friend", "stranger", "container", "registry", "guest")
        self.all = [Namespace(name=f"hr{tag}{each}", programs=programs) for each in names]
        self.host, self.friend, self.stranger, self.container, self.registry, self.guest = self.all

    def start(self) -> None:
        for each in self.all:
            Host().must("ip", "netns", "add", each.name)
            each.must("ip", "link", "set", "lo", "up")
        self._join(self.friend, "lan0", (HOST, FRIEND), (HOST6, "fd09:1::2"))
        self._join(self.stranger, "lan1", (STRANGERS_GATEWAY, "10.9.2.2"), (STRANGERS_GATEWAY6, "fd09:2::2"))
        self._bridge("docker0", self.container, ("172.29.0.1", CONTAINER), ("fd09:29::1", CONTAINER6))
        self._bridge("http-registry0", self.registry, ("172.30.0.1", REGISTRY))
        self._bridge("br-lan", self.guest, ("172.31.0.1", GUEST))
        for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.host.must("sh", "-c", f"echo 1 > /proc/sys/net/{setting}")
        self.publish()
        for neighbour, gateway in ((self.friend, HOST), (self.stranger, STRANGERS_GATEWAY)):
            neighbour.must("ip", "address", "del", "127.0.0.1/8", "dev", "lo")
            neighbour.must("ip", "route", "add", "127.0.0.1", "via", gateway)
            neighbour.must("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet")
        self._serve(self.host, PLAIN, FREE, LOOPBACK)
        self._serve(self.container, 80)
        self._serve(self.guest, 80)
        self._serve(self.registry, 5000)
        self._serve(self.stranger, OUTSIDE)
        deadline = time.monotonic() + 10
        awaited = [
            (CONTAINER6, 80),
            (HOST, PUBLISHED),
            (HOST, PLAIN),
            (REGISTRY, 5000),
            (GUEST, 80),
            ("10.9.2.2", OUTSIDE),
        ]
        while not all(self.friend.reaches(*each) for each in awaited) and time.monotonic() < deadline:
            time.sleep(0.1)

    def stop(self) -> None:
        for server in self.servers:
            server.terminate()
            server.wait()
        for each in self.all:
            Host().run("ip", "netns", "delete", each.name)

    def publish(self) -> None:
        """As Docker does, by iptables or by nft."""
        if self.backend == "nft":
            self.host.must(
                "nft",
                "add table ip docker; add chain ip docker pre { type nat hook prerouting priority -100; };"
                f"add rule ip docker pre tcp dport {PUBLISHED} fib daddr type local dnat to {CONTAINER}:80;"
                f"add rule ip docker pre ip daddr 127.0.0.1 tcp dport {LOOPBACK} dnat to {CONTAINER}:80",
            )
            return
        to, local = f"-j DNAT --to-destination {CONTAINER}:80", "-m addrtype --dst-type LOCAL"
        for each in (f"--dport {PUBLISHED} {local}", f"--dport {LOOPBACK} -d 127.0.0.1"):
            self.host.must("iptables", "-t", "nat", *f"-A PREROUTING -p tcp {each} {to}".split())

    def unpublish(self) -> None:
        """The container goes; what Docker had in the table as well."""
        if self.backend == "nft":
            self.host.must("nft", "delete table ip docker")
        else:
            self.host.must("iptables", "-t", "nat", "-F", "PREROUTING")

    def _join(self, peer: Namespace, device: str, *pairs: tuple[str, str]) -> None:
        self.host.must("ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", peer.name)
        self._address(device, peer, pairs)

    def _bridge(self, name: str, peer: Namespace, *pairs: tuple[str, str]) -> None:
        port = f"v{name[:8]}"
        self.host.must("ip", "link", "add", name, "type", "bridge")
        self.host.must("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", peer.name)
        self.host.must("ip", "link", "set", port, "master", name, "up")
        self._address(name, peer, pairs)

    def _address(self, device: str, peer: Namespace, pairs: Sequence[tuple[str, str]]) -> None:
        for near, far in pairs:
            length, nodad = ("64", ["nodad"]) if ":" in near else ("24", [])
            self.host.must("ip", "address", "add", f"{near}/{length}", "dev", device, *nodad)
            peer.must("ip", "address", "add", f"{far}/{length}", "dev", "eth0", *nodad)
        self.host.must("ip", "link", "set", device, "up")
        peer.must("ip", "link", "set", "eth0", "up")
        for near, _ in pairs:
            peer.must("ip", "route", "add", "default", "via", near)

    def _serve(self, where: Namespace, *ports: int) -> None:
        command = ("ip", "netns", "exec", where.name, "python3", "-c", SERVER, *map(str, ports))
        self.servers.append(subprocess.Popen(command))


@contextmanager
def world(tag: str, backend: str, folder: Path) -> Iterator[World]:
    """One that has started, and leaves nothing."""
    built = World(tag, backend, folder)
    try:
        built.start()
        yield built
    finally:
        built.stop()


@contextmanager
def managed(world: World, root: Path) -> Iterator[Managed]:
    """The world's host for hostctl itself, with files below `root`; afterwards nothing of ours is left there.

    Whether a process listens is asked of this machine.
    """
    interfaces = ("lan0", "lan1", "docker0", "br-lan", "br-0123456789ab", "vdocker0/brport")
    for each in ("proc/sys/net/ipv6", *(f"sys/class/net/{name}" for name in interfaces)):
        (root / each).mkdir(parents=True)
    (root / "sys/class/net/vdocker0/master").symlink_to("../docker0")
    host = Managed(root, world.host.name, world.host.programs)
    before = everything(host)
    try:
        yield host
    finally:
        host.remove()
    assert everything(host) == before
