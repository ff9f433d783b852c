"""Brings up what listens on the host `registry`, has the others ask under each backend, and takes all away again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from documents import firewall_rules
from lab.hosts import Host
from ops.proof import on
from settings.firewall import Firewall, Rule
from tests.lab.firewall_matrix.cells import (
    ALLOWED,
    BACKENDS,
    GUARDED,
    HOST_NETWORK,
    INNER,
    LISTENERS,
    LOCAL,
    LOOPBACK,
    NO_POLICY,
    PROCESS,
    PUBLISHED,
    REGISTRY,
    SECOND,
    WAYS,
    Cell,
    place,
    why_not,
)
from tests.lab.hosts import HOSTCTL, await_answer, must, restart, without_records
from tests.lab.unit_requests import firewall_wish, hostctl, request

ASKER = (Path(__file__).parent / "asker.py").read_text()
NAME = "http-registry-matrix"
SUBNET, SUBNET6 = "172.28.0.0/24", "fd00:172:28::/64"
CONTAINER = {4: "172.28.0.2", 6: "fd00:172:28::2"}
FLAG = f"/run/systemd/system/docker.service.d/{NAME}.conf"
RESTART = "systemctl daemon-reload && systemctl reset-failed docker && systemctl restart docker"
ONLY_NFT = "; ".join(f"mount --bind /dev/null /usr/sbin/xtables-{each}-multi" for each in ("nft", "legacy"))
"""In a mount namespace of its own: a program without its executable bit is not there."""
ASKERS = list(dict.fromkeys(way.asker for way in WAYS))
PROGRAM = {"iptables-nft": "(nft)", "iptables-legacy": "(legacy)", "nftables": "nftables "}


@dataclass(frozen=True)
class Measured:
    """All cells, and what was on the host before and after."""

    cells: list[Cell]
    before: list[str]
    after: list[str]


def measured() -> Measured:
    """Every cell, backend by backend. The stack's own policy is away meanwhile."""
    before = sorted(without_records(REGISTRY.name))
    outcomes: dict[tuple[str, bool], Mapping[tuple[str, str], str]] = {}
    skipped: dict[str, str] = {}
    with ExitStack() as after:
        # Docker leaves behind what only its flags have asked for, the kernel the tables of iptables-legacy.
        after.callback(restart, REGISTRY.name)
        after.callback(_hostctl_apply, firewall_wish())
        after.enter_context(ways_there())
        after.enter_context(listeners())
        for proxied in (True, False):
            if not proxied:
                after.enter_context(without_docker_proxy())
            for backend in (NO_POLICY, *BACKENDS):
                hostctl(REGISTRY.name, "remove", unit="firewall")
                with guarded_by(backend) as why:
                    skipped[backend] = why
                    if not why:
                        outcomes[backend, proxied] = asked(proxied)
    cells = []
    for backend, listener, way in product((NO_POLICY, *BACKENDS), LISTENERS, WAYS):
        why = skipped[backend] or why_not(listener, way)
        seen = "" if why else outcomes[backend, listener.proxied][listener.title, way.title]
        cells.append(Cell(backend, listener, way, seen, why))
    return Measured(cells, before, sorted(without_records(REGISTRY.name)))


def asked(proxied: bool) -> dict[tuple[str, str], str]:
    """What every asker sees now, by listener and way."""
    pairs = [
        (listener, way)
        for listener in LISTENERS
        for way in WAYS
        if listener.proxied == proxied and not why_not(listener, way)
    ]

    def from_there(asker: Host) -> list[tuple[tuple[str, str], str]]:
        mine = [(listener, way) for listener, way in pairs if way.asker is asker]
        places = [place(listener, way, CONTAINER) for listener, way in mine]
        seen = json.loads(must(asker.name, "python3 -", f"{ASKER}\nask_all({places!r}, {asker.address!r})"))
        return [((listener.title, way.title), each) for (listener, way), each in zip(mine, seen, strict=True)]

    with ThreadPoolExecutor(len(ASKERS)) as pool:
        return dict(each for found in pool.map(from_there, ASKERS) for each in found)


@contextmanager
def listeners() -> Iterator[None]:
    """A process of the host, a container on a bridge with a port published everywhere and one on 127.0.0.1, and a
    container on the host's network."""
    network = f"docker network create --ipv6 --subnet {SUBNET} --subnet {SUBNET6} {NAME}"
    bridged = (
        f"docker run --detach --restart always --name {NAME} --network {NAME} --ip {CONTAINER[4]} --ip6 {CONTAINER[6]}"
        f" --publish {PUBLISHED}:{INNER} --publish {LOOPBACK}:{LOCAL}:{INNER} registry:3"
    )
    on_host = (
        f"docker run --detach --restart always --name {NAME}-host --network host"
        f" --env REGISTRY_HTTP_ADDR=:{HOST_NETWORK} registry:3"
    )
    process = f"systemd-run --quiet --unit {NAME} python3 -m http.server --bind :: --directory /srv {PROCESS}"
    try:
        must(REGISTRY.name, f"{network} && {bridged} && {on_host} && {process}")
        wait_for_all()
        yield
    finally:
        on(REGISTRY.name, f"systemctl stop {NAME}; docker rm --force --volumes {NAME} {NAME}-host")
        on(REGISTRY.name, f"docker network rm {NAME}")


def wait_for_all() -> None:
    """The container's IPv6 address too: the kernel first asks its network whether somebody has it already."""
    places = [*(f"{LOOPBACK}:{port}" for port in GUARDED), f"[{CONTAINER[6]}]:{INNER}"]
    for each in places:
        await_answer(REGISTRY.name, f"http://{each}/")


@contextmanager
def ways_there() -> Iterator[None]:
    """Every asker has routes to the container's own addresses and to 127.0.0.1 over the host: the latter counts for
    who leaves by the interface, so that his own 127.0.0.1 stays his."""
    routes = {asker.name: _routes(asker) for asker in ASKERS if asker is not REGISTRY}
    with ExitStack() as after:
        for name in routes:
            after.callback(must, name, "mount -o remount,bind,ro /proc/sys")
        after.enter_context(kernel_setting(REGISTRY.name, "net/ipv6/conf/all/forwarding"))
        for name, wanted in routes.items():
            for setting in ("route_localnet", "accept_local"):
                after.enter_context(kernel_setting(name, f"net/ipv4/conf/eth0/{setting}"))
            after.callback(on, name, "; ".join(f"ip route del {each}" for each in wanted))
            must(name, " && ".join(f"ip route replace {each}" for each in wanted))
        yield


@contextmanager
def kernel_setting(name: str, setting: str) -> Iterator[None]:
    """A kernel setting of a host is 1 meanwhile."""
    before = must(name, f"cat /proc/sys/{setting}").strip()
    try:
        set_kernel(name, setting, "1")
        yield
    finally:
        set_kernel(name, setting, before)


def set_kernel(name: str, setting: str, value: str) -> None:
    """Docker has mounted the settings read-only there, and needs them writable for a container with IPv6."""
    must(name, f"mount -o remount,bind,rw /proc/sys && echo {value} > /proc/sys/{setting}")


def _routes(asker: Host) -> list[str]:
    via = SECOND if asker.network is not REGISTRY.network else REGISTRY.address
    found = [f"{SUBNET} via {via}", f"{LOOPBACK} via {via} dev eth0"]
    found.append(f"{SUBNET6} via {asker.network.address6(via)}")
    return [*found, f"{SECOND} via {via}"] if asker is ALLOWED else found


@contextmanager
def without_docker_proxy() -> Iterator[None]:
    """Published ports are Docker's rules alone. Docker 20.10 writes those for IPv6 as an experiment."""
    started = must(REGISTRY.name, "systemctl show -p ExecStart --value docker").split("argv[]=", 1)[1].split(" ;")[0]
    started = started.replace("$DOCKER_OPTS", "")
    flags = "--userland-proxy=false --experimental --ip6tables"
    drop_in = f"[Service]\nExecStart=\nExecStart={started} {flags}\n"
    try:
        must(REGISTRY.name, f"mkdir -p $(dirname {FLAG}) && cat > {FLAG} && {RESTART}", stdin=drop_in)
        wait_for_all()
        assert not on(REGISTRY.name, "pgrep docker-proxy").stdout
        yield
    finally:
        must(REGISTRY.name, f"rm -f {FLAG} && {RESTART}")


@contextmanager
def guarded_by(backend: str) -> Iterator[str]:
    """The policy of the matrix is in force in that backend; yields why it can't be, or nothing."""
    if backend == NO_POLICY:
        yield ""
        return
    legacy = backend == "iptables-legacy"
    if legacy and on(REGISTRY.name, "iptables-legacy -t mangle -S && ip6tables-legacy -t mangle -S").returncode:
        yield "the kernel has no ip_tables"
        return
    try:
        if legacy:
            choose("legacy")
        report = _hostctl_apply(policy(), f"{ONLY_NFT};" if backend == "nftables" else "")
        assert PROGRAM[backend] in str(report["program"])
        yield ""
    finally:
        hostctl(REGISTRY.name, "remove", unit="firewall")
        if legacy:
            choose("nft")


def choose(variant: str) -> None:
    must(REGISTRY.name, "; ".join(f"update-alternatives --set {each} /usr/sbin/{each}-{variant}" for each in TABLES))


TABLES = ("iptables", "ip6tables")


def policy() -> dict[str, object]:
    """One rule: the allowed neighbour, by his addresses of both families."""
    rule = Rule(ports=GUARDED, allow=(f"{ALLOWED.address}/32", f"{ALLOWED.address6}/128"))
    return firewall_rules.wish([rule], Firewall(allow=rule.allow), 22)


def _hostctl_apply(wanted: dict[str, object], before: str = "") -> dict[str, object]:
    """Apply a policy at the console, where nothing is on trial."""
    script = f"unshare --mount sh -c '{before} {HOSTCTL} apply 2>/dev/null'"
    report: dict[str, object] = json.loads(must(REGISTRY.name, script, request(REGISTRY.name, "firewall", wanted)))
    return report
