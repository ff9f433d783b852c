"""Decides what the rendered rules do to packets: a host, its neighbours and its containers as network namespaces.

Real hosts, with Docker's own rules and a reboot, are decided in tests/lab.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from documents import firewall_rules
from hostctl.errors import HostError
from hostctl.host import Finished, Host
from hostctl.iptables import BOOT_UNIT, RULES, Table, guarded_ports
from hostctl.systemd import WANTS
from hostctl.transaction import Transactions
from hostctl.units.firewall import UNIT_FILE, Firewall

PUBLISHED, PLAIN, FREE, LOOPBACK, OUTSIDE = 5500, 5080, 7000, 7100, 9000
HOST, HOST6 = "10.9.1.1", "fd09:1::1"
STRANGERS_GATEWAY, STRANGERS_GATEWAY6 = "10.9.2.1", "fd09:2::1"
ALLOW = ["10.9.1.0/24", "fd09:1::/64"]
CONTAINER, REGISTRY, GUEST = "172.29.0.2", "172.30.0.2", "172.31.0.2"
PUBLISHING = (
    f"PREROUTING -p tcp --dport {PUBLISHED} -m addrtype --dst-type LOCAL -j DNAT --to-destination {CONTAINER}:80"
)


@dataclass(frozen=True)
class Namespace(Host):
    """A host that is a network namespace of this machine."""

    name: str = ""

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        return super().run("ip", "netns", "exec", self.name, *command, stdin=stdin, timeout=timeout)

    def reaches(self, address: str, port: int) -> bool:
        script = f"import socket; socket.create_connection(({address!r}, {port}), 0.7)"
        return self.run("python3", "-c", script).ok


@dataclass(frozen=True)
class Managed(Namespace):
    """A namespace with files of its own, where restarting a service runs what its unit's file says."""

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
        return Finished(0, "")


class World:
    """`host` between the networks of `friend` and `stranger`: a container on docker0, a registry, a guest on br-lan.

    The neighbours have no loopback of their own: they send what is for 127.0.0.1 to the host.
    """

    def __init__(self, tag: str) -> None:
        self.servers: list[subprocess.Popen[bytes]] = []
        names = ("host", "friend", "stranger", "container", "registry", "guest")
        self.all = [Namespace(name=f"hr{tag}{each}") for each in names]
        self.host, self.friend, self.stranger, self.container, self.registry, self.guest = self.all

    def start(self) -> None:
        for each in self.all:
            Host().must("ip", "netns", "add", each.name)
            each.must("ip", "link", "set", "lo", "up")
        self._join(self.friend, "lan0", (HOST, "10.9.1.2"), (HOST6, "fd09:1::2"))
        self._join(self.stranger, "lan1", (STRANGERS_GATEWAY, "10.9.2.2"), (STRANGERS_GATEWAY6, "fd09:2::2"))
        self._bridge("docker0", "172.29.0.1", self.container, CONTAINER)
        self._bridge("http-registry0", "172.30.0.1", self.registry, REGISTRY)
        self._bridge("br-lan", "172.31.0.1", self.guest, GUEST)
        self.host.must("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        self.host.must("iptables", "-t", "nat", "-A", *PUBLISHING.split())
        loopback = f"PREROUTING -d 127.0.0.1 -p tcp --dport {LOOPBACK} -j DNAT --to-destination {CONTAINER}:80"
        self.host.must("iptables", "-t", "nat", "-A", *loopback.split())
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
        awaited = [(HOST, PUBLISHED), (HOST, PLAIN), (REGISTRY, 5000), (GUEST, 80), ("10.9.2.2", OUTSIDE)]
        while not all(self.friend.reaches(*each) for each in awaited) and time.monotonic() < deadline:
            time.sleep(0.1)

    def stop(self) -> None:
        for server in self.servers:
            server.terminate()
            server.wait()
        for each in self.all:
            Host().run("ip", "netns", "delete", each.name)

    def _join(self, peer: Namespace, device: str, *pairs: tuple[str, str]) -> None:
        self.host.must("ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", peer.name)
        for near, far in pairs:
            length, nodad = ("64", ["nodad"]) if ":" in near else ("24", [])
            self.host.must("ip", "address", "add", f"{near}/{length}", "dev", device, *nodad)
            peer.must("ip", "address", "add", f"{far}/{length}", "dev", "eth0", *nodad)
        self.host.must("ip", "link", "set", device, "up")
        peer.must("ip", "link", "set", "eth0", "up")
        for near, _ in pairs:
            peer.must("ip", "route", "add", "default", "via", near)

    def _bridge(self, name: str, gateway: str, peer: Namespace, address: str) -> None:
        port = f"v{name[:8]}"
        self.host.must("ip", "link", "add", name, "type", "bridge")
        self.host.must("ip", "address", "add", f"{gateway}/24", "dev", name)
        self.host.must("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", peer.name)
        self.host.must("ip", "link", "set", port, "master", name)
        for each in (port, name):
            self.host.must("ip", "link", "set", each, "up")
        peer.must("ip", "address", "add", f"{address}/24", "dev", "eth0")
        peer.must("ip", "link", "set", "eth0", "up")
        peer.must("ip", "route", "add", "default", "via", gateway)

    def _serve(self, where: Namespace, *ports: int) -> None:
        script = (
            "import select, socket\n"
            f"servers = [socket.create_server(('::', port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)"
            f" for port in {ports!r}]\n"
            "while True:\n"
            "    for ready in select.select(servers, [], [])[0]: ready.accept()\n"
        )
        self.servers.append(subprocess.Popen(["ip", "netns", "exec", where.name, "python3", "-c", script]))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    built = World(str(os.getpid()))
    try:
        built.start()
        yield built
    finally:
        built.stop()


def tables(host: Host) -> dict[str, Table]:
    return {program: Table(host, program) for program in RULES}


def rules(ports: Sequence[int] = (PLAIN, PUBLISHED), allow: Sequence[str] = tuple(ALLOW)) -> dict[str, str]:
    rendered = {each.path: each.text for each in firewall_rules.render(ports, allow)}
    return {program: rendered[path] for program, path in RULES.items()}


def apply(host: Host, *ports: int) -> dict[str, Any]:
    files = [each.as_wish() for each in firewall_rules.render(ports, ALLOW)]
    return Transactions(host).apply(Firewall(), {"files": files, "ports": list(ports), "allow": ALLOW, "ssh_port": 22})


def guards(host: Host, port: int) -> bool:
    """Whether the rules in force, and what hostctl tells about them, name the port."""
    texts = Transactions(host).observe(Firewall())["documents"].values()
    named = {port in guarded_ports(text.splitlines()) for text in texts}
    assert len(named) == 1
    return named.pop()


@pytest.fixture
def guarded(world: World) -> Iterator[World]:
    for program, table in tables(world.host).items():
        table.load(rules()[program])
    yield world
    for table in tables(world.host).values():
        table.clear()


@pytest.fixture
def managed(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Managed]:
    """The world's host for hostctl itself; whether a process listens is asked of this machine."""
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    for each in ("proc/sys/net/ipv6", "sys/class/net/br-lan", "sys/class/net/br-0123456789ab"):
        (tmp_path / each).mkdir(parents=True)
    host = Managed(tmp_path, world.host.name)
    before = everything(host)
    yield host
    Transactions(host).remove(Firewall())
    assert everything(host) == before


def everything(host: Host) -> list[str]:
    return [host.must(program, "-t", table, "-S") for program in RULES for table in ("filter", "nat", "mangle", "raw")]


def test_without_the_rules_everybody_gets_everywhere(world: World) -> None:
    assert world.stranger.reaches(STRANGERS_GATEWAY, PLAIN)
    assert world.stranger.reaches(STRANGERS_GATEWAY, PUBLISHED)
    assert world.stranger.reaches(STRANGERS_GATEWAY6, PLAIN)
    assert world.stranger.reaches(CONTAINER, 80)
    assert world.stranger.reaches(REGISTRY, 5000)
    assert world.stranger.reaches(GUEST, 80)
    assert world.guest.reaches(CONTAINER, 80)
    for neighbour in (world.friend, world.stranger):
        assert neighbour.reaches("127.0.0.1", LOOPBACK)


def test_friends_reach_the_guarded_ports(guarded: World) -> None:
    assert guarded.friend.reaches(HOST, PLAIN)
    assert guarded.friend.reaches(HOST, PUBLISHED)
    assert guarded.friend.reaches(HOST6, PLAIN)


def test_strangers_reach_no_guarded_port_on_whichever_address(guarded: World) -> None:
    for address in (HOST, STRANGERS_GATEWAY, HOST6, STRANGERS_GATEWAY6, "172.29.0.1"):
        assert not guarded.stranger.reaches(address, PLAIN), address
    for address in (HOST, STRANGERS_GATEWAY):
        assert not guarded.stranger.reaches(address, PUBLISHED), address


def test_what_is_published_on_loopback_is_for_the_host_alone(guarded: World) -> None:
    for neighbour in (guarded.friend, guarded.stranger):
        assert not neighbour.reaches("127.0.0.1", LOOPBACK)
    assert guarded.host.reaches("127.0.0.1", LOOPBACK)


def test_other_ports_are_nobodys_business(guarded: World) -> None:
    assert guarded.stranger.reaches(STRANGERS_GATEWAY, FREE)
    assert guarded.stranger.reaches(STRANGERS_GATEWAY6, FREE)


def test_the_host_reaches_itself_by_each_of_its_addresses(guarded: World) -> None:
    for address in ("127.0.0.1", "::1", HOST, STRANGERS_GATEWAY, HOST6):
        assert guarded.host.reaches(address, PLAIN), address
    assert guarded.host.reaches(CONTAINER, 80)
    assert guarded.host.reaches(REGISTRY, 5000)


def test_a_containers_own_address_is_no_way_around(guarded: World) -> None:
    assert not guarded.stranger.reaches(CONTAINER, 80)
    assert guarded.friend.reaches(CONTAINER, 80)
    assert not guarded.stranger.reaches(REGISTRY, 5000)
    assert not guarded.friend.reaches(REGISTRY, 5000)


def test_containers_open_connections_to_the_outside(guarded: World) -> None:
    assert guarded.registry.reaches("10.9.2.2", OUTSIDE)
    assert guarded.container.reaches("10.9.2.2", OUTSIDE)


def test_an_answer_to_the_hosts_own_connection_comes_in_at_a_guarded_port(guarded: World) -> None:
    script = (
        "import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        f"s.settimeout(1); s.bind(('', {PUBLISHED})); s.connect(('10.9.2.2', {OUTSIDE}))"
    )
    assert guarded.host.run("python3", "-c", script).ok


def test_an_open_connection_of_a_friend_survives_a_new_set_of_rules(guarded: World) -> None:
    script = f"import socket, time; s = socket.create_connection(({HOST!r}, {PLAIN})); time.sleep(1); s.send(b'x')"
    friend = subprocess.Popen(["ip", "netns", "exec", guarded.friend.name, "python3", "-c", script])
    time.sleep(0.5)
    for program, table in tables(guarded.host).items():
        table.load(rules((PLAIN,))[program])
    assert friend.wait(timeout=10) == 0


@pytest.mark.parametrize("program", sorted(RULES))
def test_loading_is_repeatable_and_clearing_leaves_nothing(world: World, program: str) -> None:
    table = tables(world.host)[program]
    world.host.must(program, "-t", "mangle", "-A", "PREROUTING", "-p", "udp", "-j", "ACCEPT")
    before = everything(world.host)
    many = list(range(6000, 6040))
    for ports in (many, many, [PLAIN]):
        for allow in (ALLOW, ["0.0.0.0/0", "::/0"], ["10.9.1.7/32"]):
            wished = rules(ports, allow)[program]
            table.refuse(wished)
            table.load(wished)
            assert table.complaint(wished) == ""
    assert "is not as it was wished" in table.complaint(rules()[program])
    world.host.must(program, "-t", "mangle", "-I", "PREROUTING", "-j", "ACCEPT")
    world.host.must(program, "-t", "mangle", "-A", "PREROUTING", "-j", "HTTP-REGISTRY")
    assert "is not the first rule" in table.complaint(wished)
    table.load(wished)
    assert table.complaint(wished) == ""
    world.host.must(program, "-t", "mangle", "-D", "PREROUTING", "-j", "ACCEPT")
    table.clear()
    table.clear()
    assert (everything(world.host), table.remains()) == (before, "")
    world.host.must(program, "-t", "mangle", "-D", "PREROUTING", "-p", "udp", "-j", "ACCEPT")


def test_rules_that_the_kernel_would_not_take_change_nothing(guarded: World) -> None:
    table = tables(guarded.host)["iptables"]
    broken = rules()["iptables"].replace("--ctdir REPLY", "--ctdir SIDEWAYS")
    with pytest.raises(HostError, match="does not accept the rules"):
        table.refuse(broken)
    with pytest.raises(HostError):
        table.load(broken)
    assert table.complaint(rules()["iptables"]) == ""


def test_a_port_that_leaves_the_policy_is_guarded_until_it_is_published_no_more(world: World, managed: Managed) -> None:
    apply(managed, PLAIN, PUBLISHED)
    left = apply(managed, PLAIN)
    assert [note for note in left["notes"] if f"port {PUBLISHED}: no longer in the policy" in note]
    assert guards(managed, PUBLISHED)
    assert not world.stranger.reaches(STRANGERS_GATEWAY, PUBLISHED)
    assert world.friend.reaches(HOST, PUBLISHED)
    assert apply(managed, PLAIN)["result"] == "unchanged"
    world.host.must("iptables", "-t", "nat", "-D", *PUBLISHING.split())
    try:
        gone = apply(managed, PLAIN)
        assert (gone["result"], guards(managed, PUBLISHED)) == ("changed", False)
        assert not [note for note in gone["notes"] if "no longer in the policy" in note]
        assert apply(managed, PLAIN)["result"] == "unchanged"
    finally:
        world.host.must("iptables", "-t", "nat", "-I", *PUBLISHING.split())
    apply(managed, PLAIN)
    assert world.stranger.reaches(STRANGERS_GATEWAY, PUBLISHED)


@pytest.mark.parametrize("lost", ["chains", "files"])
def test_a_port_that_leaves_the_policy_is_guarded_until_nobody_listens(managed: Managed, lost: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        apply(managed, PLAIN, port)
        for program, table in tables(managed).items():
            if lost == "chains":
                table.clear()
            else:
                managed.path(RULES[program]).unlink()
        me = Path("/proc/self/comm").read_text().strip()
        assert any(f"port {port}: " in note and me in note for note in apply(managed, PLAIN)["notes"])
        assert guards(managed, port)
        assert apply(managed, PLAIN)["result"] == "unchanged"
    assert (apply(managed, PLAIN)["result"], guards(managed, port)) == ("changed", False)


def test_sshds_port_leaves_the_policy_at_once(managed: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        apply(managed, PLAIN, port)
        monkeypatch.setenv("SSH_CONNECTION", f"192.0.2.1 50000 192.0.2.2 {port}")
        apply(managed, PLAIN)
        assert not guards(managed, port)


def test_a_bridge_that_is_not_dockers_is_left_alone_and_gets_no_trust(world: World, managed: Managed) -> None:
    notes = apply(managed, PLAIN, PUBLISHED)["notes"]
    assert [note.split(":")[0] for note in notes] == ["br-lan"]
    assert world.stranger.reaches(GUEST, 80)
    assert world.container.reaches(GUEST, 80)
    assert world.guest.reaches("10.9.2.2", OUTSIDE)
    assert not world.guest.reaches(CONTAINER, 80)
    assert not world.stranger.reaches(CONTAINER, 80)
    assert world.friend.reaches(CONTAINER, 80)
    managed.path("/sys/class/net/br-lan").rmdir()
    assert (apply(managed, PLAIN, PUBLISHED)["result"], world.stranger.reaches(GUEST, 80)) == ("changed", False)


def test_rules_of_this_host_alone_are_compared_and_repaired(managed: Managed) -> None:
    apply(managed, PLAIN)
    for program in RULES:
        managed.must(program, "-t", "mangle", "-D", "HTTP-REGISTRY-FORWARD", "-o", "br-lan", "-j", "RETURN")
    assert apply(managed, PLAIN)["result"] == "changed"
    for text in Transactions(managed).observe(Firewall())["documents"].values():
        assert "-o br-lan -j RETURN" in text
    assert apply(managed, PLAIN)["result"] == "unchanged"


def test_the_boot_unit_loads_what_is_on_the_host(managed: Managed) -> None:
    apply(managed, PLAIN, PUBLISHED)
    apply(managed, PLAIN)
    for table in tables(managed).values():
        table.clear()
    for _ in range(2):
        managed.must("systemctl", "restart", BOOT_UNIT)
        for program, table in tables(managed).items():
            assert table.complaint(managed.path(RULES[program]).read_text()) == ""
    assert apply(managed, PLAIN)["result"] == "unchanged"
    assert guards(managed, PUBLISHED)
