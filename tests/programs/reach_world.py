"""A host with two neighbours and a container as network namespaces, and who really connects there."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hostctl.host import Finished, Host
from lab import packages

HOST, HOST6, FRIEND, FRIEND6 = "10.9.1.1", "fd09:1::1", "10.9.1.2", "fd09:1::2"
GATEWAY, GATEWAY6, STRANGER, STRANGER6 = "10.9.2.1", "fd09:2::1", "10.9.2.2", "fd09:2::2"
BRIDGE, CONTAINER = "172.29.0.1", "172.29.0.2"
REACHED, REFUSED, SILENT = "reached", "refused", "silent"
SERVE = """
import select, socket
servers = []
for address, port in {places!r}:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    servers.append(socket.create_server((address, port), family=family, dualstack_ipv6=address == "::", backlog=512))
print("ready", flush=True)
while True:
    for ready in select.select(servers, [], [])[0]: ready.accept()[0].close()
"""
ASK = """
import errno, itertools, json, select, socket, sys, time
NO = dict.fromkeys((errno.ECONNREFUSED, errno.EACCES, errno.EHOSTUNREACH, errno.ENETUNREACH), "refused")
NO[errno.ECONNRESET] = "reached"  # a later packet was rejected; the question is about the first
own = itertools.cycle(range(33000, 60000))  # the kernel's conntrack still knows a port that was used before
for line in sys.stdin:
    patience, questions = json.loads(line)
    told, waiting = {}, {}
    for number, (source, address, port) in enumerate(questions):
        asking = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        asking.setblocking(False)
        try:
            asking.bind((source, next(own)))
            error = asking.connect_ex((address, port))
        except OSError as failure:
            error = failure.errno
        if error == errno.EINPROGRESS: waiting[asking] = number
        else: told[number] = "reached" if not error else NO.get(error, errno.errorcode[error])
    end = time.monotonic() + patience
    while waiting and time.monotonic() < end:
        for asking in select.select([], list(waiting), [], max(end - time.monotonic(), 0))[1]:
            error = asking.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            told[waiting.pop(asking)] = "reached" if not error else NO.get(error, errno.errorcode[error])
            asking.close()
    for asking, number in waiting.items():
        told[number] = "silent"
        asking.close()
    print(json.dumps([told[number] for number in range(len(questions))]), flush=True)
"""


@dataclass(frozen=True)
class Namespace(Host):
    """A host that is a network namespace of this machine."""

    root: Path = Path("/")
    name: str = ""

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        return super().run("ip", "netns", "exec", self.name, *command, stdin=stdin, timeout=timeout)


@dataclass
class ReachWorld:
    """`start` and `stop` it; `connect` tells who gets through."""

    tag: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    askers: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.all = {each: Namespace(name=f"rw{self.tag}{each}") for each in ("host", "friend", "stranger", "container")}
        self.host = self.all["host"]

    def start(self) -> None:
        for each in self.all.values():
            Host().must("ip", "netns", "add", each.name)
            each.must("ip", "link", "set", "lo", "up")
        self.join("friend", "lan0", (HOST, FRIEND), (HOST6, FRIEND6))
        self.join("stranger", "lan1", (GATEWAY, STRANGER), (GATEWAY6, STRANGER6))
        self.host.must("ip", "link", "add", "docker0", "type", "bridge")
        self.host.must("ip", "address", "add", f"{BRIDGE}/24", "dev", "docker0")
        self.join("container", "veth0", ("", CONTAINER))
        self.host.must("ip", "link", "set", "veth0", "master", "docker0")
        self.host.must("ip", "link", "set", "docker0", "up")
        self.all["container"].must("ip", "route", "add", "default", "via", BRIDGE)
        settings = {
            "ipv4/ip_forward": 1,
            "ipv6/conf/all/forwarding": 1,
            "ipv4/icmp_ratelimit": 0,
            "ipv4/icmp_ratemask": 0,
            "ipv6/icmp/ratelimit": 0,
        }
        for name, value in settings.items():
            self.host.must("sh", "-c", f"echo {value} > /proc/sys/net/{name}")
        self.serve("host", ("::", 5080), (HOST, 5081), (HOST6, 5082), ("127.0.0.1", 5083))
        self.serve("container", ("::", 80), ("::", 81))
        for name in self.all:
            self.askers[name] = self.python(name, ASK)

    def stop(self) -> None:
        for each in self.processes:
            each.terminate()
            each.communicate()
        for namespace in self.all.values():
            Host().run("ip", "netns", "delete", namespace.name)

    def join(self, name: str, device: str, *pairs: tuple[str, str]) -> None:
        peer = self.all[name]
        self.host.must("ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", peer.name)
        for near, far in pairs:
            length, nodad = ("64", ["nodad"]) if ":" in far else ("24", [])
            if near:
                self.host.must("ip", "address", "add", f"{near}/{length}", "dev", device, *nodad)
            peer.must("ip", "address", "add", f"{far}/{length}", "dev", "eth0", *nodad)
        self.host.must("ip", "link", "set", device, "up")
        peer.must("ip", "link", "set", "eth0", "up")
        for near, _ in pairs:
            if near:
                peer.must("ip", "route", "add", "default", "via", near)

    def serve(self, name: str, *places: tuple[str, int]) -> None:
        server = self.python(name, SERVE.format(places=places))
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"

    def python(self, name: str, script: str) -> subprocess.Popen[str]:
        command = ["ip", "netns", "exec", self.all[name].name, "python3", "-c", script]
        started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(started)
        return started

    def connect(self, questions: Sequence[tuple[str, str, int]], patience: float = 0.3) -> list[str]:
        """What becomes of connections (source address, address, port), all at once, within `patience` seconds."""
        sources = {FRIEND: "friend", FRIEND6: "friend", STRANGER: "stranger", STRANGER6: "stranger"}
        sources[CONTAINER] = "container"
        by_name: dict[str, list[int]] = {}
        for number, (source, _, _) in enumerate(questions):
            by_name.setdefault(sources.get(source, "host"), []).append(number)
        for name, numbers in by_name.items():
            asked = [questions[each] for each in numbers]
            stdin = self.askers[name].stdin
            assert stdin is not None
            stdin.write(json.dumps([patience, asked]) + "\n")
            stdin.flush()
        told: dict[int, str] = {}
        for name, numbers in by_name.items():
            stdout = self.askers[name].stdout
            assert stdout is not None
            told.update(zip(numbers, json.loads(stdout.readline()), strict=True))
        return [told[number] for number in range(len(questions))]

    def meets(self, questions: Sequence[tuple[str, str, int]], wanted: Sequence[str]) -> list[str]:
        """As `connect`; what is not as wanted is asked again, patiently: a neighbour may have to be found first."""
        met = self.connect(questions)
        other = [number for number, each in enumerate(met) if each != wanted[number]]
        if other:
            again = self.connect([questions[each] for each in other], 2.5)
            for number, each in zip(other, again, strict=True):
                met[number] = each
        return met

    def clear(self) -> None:
        """Take all rules away."""
        self.host.must("nft", "flush", "ruleset")
        for program in ("iptables-legacy", "ip6tables-legacy"):
            chains = "".join(f":{chain} ACCEPT [0:0]\n" for chain in ("INPUT", "FORWARD", "OUTPUT"))
            self.host.must(f"{program}-restore", stdin=f"*filter\n{chains}COMMIT\n")
            for table in ("raw", "mangle", "nat"):
                self.host.must(f"{program}-restore", stdin=f"*{table}\nCOMMIT\n")


@contextmanager
def reach_world() -> Iterator[ReachWorld]:
    """One of this process's own, while it is needed."""
    packages.need({"iptables-nft": "iptables", "nft": "nftables", "ss": "iproute2"})
    built = ReachWorld(str(os.getpid()))
    try:
        built.start()
        yield built
    finally:
        built.stop()
