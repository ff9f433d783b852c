"""Decides what docs/day-two.md says of hosts that are dead for good, and of those installed from scratch."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import docker, host, machines
from lab.commands import alone
from lab.docker import Docker
from lab.paths import work_dir
from lab.ssh import host_key_file
from ops.stack import PROJECT
from tests.lab.hosts import HOSTCTL, must, without_records
from tests.lab.spare.site import REGISTRY, RUNTIME
from tests.lab.spare.two_hosts import TwoHosts, lead_to, planned, pulls, push, settings, two_hosts

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHosts]:
    with two_hosts(tmp_path_factory.mktemp("lost"), "lost", settings(), files) as made:
        yield made


def files(name: str) -> list[str]:
    """What is on a host, but for what its Docker makes for itself when it is new."""
    return [line for line in without_records(name) if "/etc/docker/key.json" not in line]


def engine() -> Docker:
    """The Docker that carries the lab."""
    found = docker.running()
    assert found
    return found


def installed_from_scratch(name: str) -> None:
    """Make a spare host anew; it knows the registry's name like before."""
    subprocess.run([PROJECT / "lab" / "reinstall", name], check=True)
    lead_to(REGISTRY, name)


@contextmanager
def dead(name: str) -> Iterator[None]:
    """A host has no power. Nobody else's `lab/up` starts it meanwhile."""
    with alone():
        engine()("kill", host(name).container)
        try:
            yield
        finally:
            engine()("start", host(name).container)
            machines.wait(engine(), host(name))


def test_hosts_that_are_installed_from_scratch_get_it_all_again(two: TwoHosts) -> None:
    """First the one that pulls, then the one that has the registry."""
    assert "is no new host" in two.make("reinstalled", fails=True, HOST=RUNTIME)
    wanted = settings()
    wanted["runtimes"][0]["docker"]["max_concurrent_downloads"] = 7
    two.write(wanted)
    # As on a disk that is empty, where somebody has put the old host key back.
    must(RUNTIME, "rm -r /var/lib/http-registry")
    assert f"ops: {RUNTIME}: hostctl is not there any more" in two.make("up", fails=True)
    lab_id, key = machines.lab_id(), host_key_file(host(RUNTIME)).read_text()
    installed_from_scratch(RUNTIME)
    assert machines.lab_id() == lab_id
    # Whose settings have the old key still.
    wanted["hosts"][1]["ssh"]["host_key"] = " ".join(key.split()[:2])
    two.write(wanted)
    for told in (two.make("up", fails=True), two.make("reinstalled", fails=True, HOST=RUNTIME)):
        assert f"{RUNTIME}: shows another host key than the settings have" in told
        assert f"'make reinstalled STACK=lost HOST={RUNTIME}'" in told
    two.write(settings())
    told = two.make("reinstalled", HOST=RUNTIME)
    assert f"forgotten: {RUNTIME}-docker-mirrors" in told
    assert "lost:" not in told
    # It proves by a pull of its own that the runtime comes to the mirror.
    assert "created" in planned(two.make("up"))
    assert pulls("1")
    before = files(RUNTIME)
    installed_from_scratch(REGISTRY)
    told = two.make("reinstalled", HOST=REGISTRY)
    assert f"forgotten: {REGISTRY}.hosted-container" in told
    assert "lost: the images of hosted" in told
    assert planned(two.make("up")).keys() == {"created", "unchanged"}
    assert files(RUNTIME) == before
    push("2")
    assert pulls("2")
    assert planned(two.make("preview")).keys() == {"unchanged"}
    assert (work_dir() / "known_hosts").read_text().count(f"[{host(REGISTRY).ssh_address}]") == 1


def test_a_dead_host_is_named_forgotten_and_cleaned_up_when_it_comes_back(two: TwoHosts) -> None:
    while_up = files(RUNTIME)
    with dead(RUNTIME):
        changed = settings()
        changed["runtimes"][0]["docker"]["max_concurrent_downloads"] = 7
        two.write(changed)
        told = two.make("up", fails=True)
        assert f"ops: {RUNTIME}: can't be reached" in told
        assert f"'make forget STACK=lost HOST={RUNTIME}'" in told
        without = settings()
        without["hosts"].pop()
        without["runtimes"] = []
        two.write(without)
        told = two.make("up", fails=True)
        assert f"ops: {RUNTIME}: is in the state, but not in the stack's file any more" in told
        assert f"forgotten: {RUNTIME}-docker-mirrors" in two.make("forget", HOST=RUNTIME)
        assert planned(two.make("up")).keys() == {"unchanged"}
        two.make("destroy")
    assert files(RUNTIME) == while_up
    must(RUNTIME, f"{HOSTCTL} remove-all", json.dumps({"owner": f"http-registry/lost/{RUNTIME}"}))
    assert must(RUNTIME, "ls /var/lib | grep http-registry; true") == ""
