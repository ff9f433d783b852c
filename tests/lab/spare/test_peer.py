"""Decides what a peer before the mirror gives and costs: one that has the image, lacks it, is down, breaks off, hangs.

On the runtime's host with containerd 1.6 and 2.4; the peer is a stand-in for Spegel (peer_on_host.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hostctl.canary import CRI_SOCKET
from lab import binaries, docker, host
from ops.proof import PROXY_LOG, on
from tests.lab.hosts import must
from tests.lab.spare.costs import Cost
from tests.lab.spare.site import REGISTRY, RUNTIME
from tests.lab.spare.two_hosts import NAME, TwoHosts, settings, two_hosts

pytestmark = pytest.mark.lab

PORT = 30020
PEER = f"http://127.0.0.1:{PORT}"
FOLDER, UNIT = "/root/peer", "peer-of-a-test"
PROGRAM = (Path(__file__).parent / "peer_on_host.py").read_text()
APP = "library/app:1"
START = f"""
systemd-run --quiet --unit={UNIT} --collect python3 {FOLDER}/program {PORT} {FOLDER} http://{NAME}:5080 {APP}
timeout 20 sh -c 'until curl -s -m 1 -o /dev/null {PEER}/v2/; do sleep 0.05; done'; rm -f {FOLDER}/log
"""
NEW, NEW_RUN = "/var/lib/containerd/of-a-test", "/run/containerd-of-a-test"
"""On the volume that the first one has for its snapshots."""
NEW_CONFIG = f"""
version = 3
root = "{NEW}/root"
state = "{NEW_RUN}"
[grpc]
address = "{NEW_RUN}/containerd.sock"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "/etc/containerd/certs.d"
"""


def crictl(socket: str) -> str:
    return f"crictl --runtime-endpoint {socket} --image-endpoint {socket} --timeout 50s"


CRICTL = {"1.6": crictl(CRI_SOCKET), "2.4": crictl(f"unix://{NEW_RUN}/containerd.sock")}
PARTS = 3
"""What the peer is asked for of the image: a manifest, a configuration, a layer."""


@dataclass(frozen=True)
class Pulled:
    """`ours`, `theirs`: the methods of the requests at the mirror and at the peer."""

    seconds: float
    failure: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]


@dataclass(frozen=True)
class Stack:
    two: TwoHosts

    def peer(self, mode: str) -> None:
        """What the stand-in does from now on; `down`: it does not run."""
        if mode == "down":
            must(RUNTIME, f"systemctl stop {UNIT}")
        else:
            must(RUNTIME, f"echo {mode} > {FOLDER}/mode; rm -f {FOLDER}/log")

    def pull(self, tool: str, image: str = f"docker.io/{APP}") -> Pulled:
        """Pull an image that the host does not have."""
        on(RUNTIME, f"{tool} rmi {image}")
        before = int(must(REGISTRY, f"wc -l < {PROXY_LOG}"))
        began = time.monotonic()
        done = on(RUNTIME, f"{tool} pull {image}")
        seconds = time.monotonic() - began
        # The last line may be seen while it is being written.
        whole = f"timeout 5 sh -c 'until [ -z \"$(tail -c 1 {PROXY_LOG})\" ]; do sleep 0.1; done'"
        ours = must(REGISTRY, f"{whole}; tail -n +{before + 1} {PROXY_LOG}").splitlines()
        theirs = must(RUNTIME, f"cat {FOLDER}/log 2>/dev/null; rm -f {FOLDER}/log").splitlines()
        asked: list[dict[str, Any]] = [json.loads(line) for line in theirs]
        assert {each["ns"] for each in asked} <= {"docker.io", ""}
        assert not [each for each in asked if "Authorization" in each["headers"]]
        return Pulled(
            seconds,
            done.stdout if done.returncode else "",
            tuple(
                request.split()[0] for request in (json.loads(line)["request"] for line in ours) if "/app/" in request
            ),
            tuple(each["method"] for each in asked if "/app/" in each["path"]),
        )


@contextmanager
def peer_running() -> Iterator[None]:
    must(RUNTIME, f"mkdir -p {FOLDER}; cat > {FOLDER}/program; echo has > {FOLDER}/mode; {START}", PROGRAM)
    try:
        yield
    finally:
        must(RUNTIME, f"systemctl stop {UNIT} 2>/dev/null; rm -rf {FOLDER}")


@contextmanager
def containerd24() -> Iterator[None]:
    """A second containerd on the runtime's host, which reads the hosts.toml files of the first."""
    engine = docker.running()
    assert engine
    must(RUNTIME, f"mkdir -p {NEW}; cat > {NEW}/config.toml", NEW_CONFIG)
    try:
        program = binaries.build(binaries.CONTAINERD) / "containerd"
        engine("cp", str(program), f"{host(RUNTIME).container}:{NEW}/containerd")
        must(RUNTIME, f"systemd-run --quiet --unit=containerd24 --collect {NEW}/containerd --config {NEW}/config.toml")
        must(RUNTIME, f"timeout 20 sh -c 'until {CRICTL['2.4']} images >/dev/null 2>&1; do sleep 0.1; done'")
        yield
    finally:
        must(RUNTIME, f"systemctl stop containerd24; umount {NEW_RUN}/* 2>/dev/null; rm -rf {NEW} {NEW_RUN}")


def with_peer(kind: str) -> dict[str, Any]:
    wanted = settings()
    wanted["runtimes"][0] |= {"containerd": {}, "peer": {"url": PEER, "kind": kind}}
    return wanted


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Nobody listens at the peer's place while it comes up: that is no reason to fail."""
    with (
        two_hosts(tmp_path_factory.mktemp("peer"), "peer", with_peer("spegel")) as two,
        peer_running(),
        containerd24(),
    ):
        yield Stack(two)


@pytest.mark.parametrize("release", CRICTL)
def test_what_a_peer_has_comes_from_it_and_the_rest_from_ours(
    stack: Stack, release: str, record_property: Callable[[str, object], None]
) -> None:
    """Which image a tag is, ours says each time. Down or without the image, a peer costs no pull and no second."""
    found = {}
    for mode in ("lacks", "has", "breaks", "down"):
        stack.peer(mode)
        found[mode] = stack.pull(CRICTL[release])
    must(RUNTIME, START)
    all_parts = ("GET",) * PARTS
    assert (found["has"].failure, found["has"].ours, found["has"].theirs) == ("", ("HEAD",), all_parts)
    assert (found["lacks"].failure, found["lacks"].ours, found["lacks"].theirs) == ("", ("HEAD", *all_parts), all_parts)
    assert (found["down"].failure, found["down"].ours) == ("", ("HEAD", *all_parts))
    # containerd asks the same peer again for the rest of a layer, and never ours.
    assert "unexpected EOF" in found["breaks"].failure
    of = f"pulls by containerd {release}"
    for mode, fault in {"lacks": "the peer has nothing", "down": "the peer is down"}.items():
        late = max(0.0, found[mode].seconds - found["has"].seconds)
        Cost(fault, of, 1, 0, late).told(record_property)
        assert late < 3
    Cost("the peer breaks off in a layer", of, 1, 1, None).told(record_property)


def test_doctor_and_drift_know_it(stack: Stack) -> None:
    stack.peer("hangs")
    told = stack.two.make("doctor", HOST=RUNTIME)
    assert f"peer: {PEER} gives no answer within" in " ".join(told.split())
    assert "Nothing found." in told
    stack.peer("lacks")
    # As Spegel does at its start, where nobody has told it not to.
    certs = "/etc/containerd/certs.d"
    must(RUNTIME, f"mkdir {certs}/_backup && mv {certs}/docker.io {certs}/_backup/")
    assert f"{certs}/docker.io/hosts.toml" in stack.two.make("drift", fails=True)
    must(RUNTIME, f"mv {certs}/_backup/docker.io {certs}/ && rmdir {certs}/_backup")


def test_docker_goes_on_from_dragonfly_to_ours(stack: Stack) -> None:
    """Two `registry-mirrors`: the first that has it."""
    stack.peer("fetches")
    stack.two.write(with_peer("dragonfly"))
    stack.two.make("up")
    assert json.loads(must(RUNTIME, "cat /etc/docker/daemon.json"))["registry-mirrors"] == [PEER, f"http://{NAME}:5080"]
    found = {}
    for mode in ("fetches", "lacks", "breaks", "down"):
        stack.peer(mode)
        found[mode] = stack.pull("docker", APP)
    must(RUNTIME, f"docker rmi {APP}")
    assert {mode: bool(each.failure) for mode, each in found.items()} == dict.fromkeys(found, False)
    assert (found["fetches"].ours, "GET" in found["fetches"].theirs) == ((), True)
    assert all("GET" in found[mode].ours for mode in ("lacks", "breaks", "down"))
    print({mode: (round(each.seconds, 1), each.ours, each.theirs) for mode, each in found.items()})
