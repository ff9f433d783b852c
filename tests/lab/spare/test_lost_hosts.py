"""Decides what docs/day-two.md says of hosts that are dead for good, and of those installed from scratch."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from lab import docker, host, machines
from lab.docker import Docker
from lab.paths import work_dir
from lab.ssh import host_key_file
from ops.stack import PROJECT
from tests.lab.hosts import HOSTCTL, must, without_records
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
    lead_to("spare1", name)


def test_hosts_that_are_installed_from_scratch_get_it_all_again(two: TwoHosts) -> None:
    """First spare2, which pulls, then spare1, which has the registry."""
    assert "is no new host" in two.make("reinstalled", fails=True, HOST="spare2")
    wanted = settings()
    wanted["runtimes"][0]["docker"]["max_concurrent_downloads"] = 7
    two.write(wanted)
    # As on a disk that is empty, where somebody has put the old host key back.
    must("spare2", "rm -r /var/lib/http-registry")
    assert "ops: spare2: hostctl is not there any more" in two.make("up", fails=True)
    lab_id, key = machines.lab_id(), host_key_file(host("spare2")).read_text()
    installed_from_scratch("spare2")
    assert machines.lab_id() == lab_id
    # Whose settings have the old key still.
    wanted["hosts"][1]["ssh"]["host_key"] = " ".join(key.split()[:2])
    two.write(wanted)
    for told in (two.make("up", fails=True), two.make("reinstalled", fails=True, HOST="spare2")):
        assert "spare2: shows another host key than the settings have" in told
        assert "'make reinstalled STACK=lost HOST=spare2'" in told
    two.write(settings())
    told = two.make("reinstalled", HOST="spare2")
    assert "forgotten: spare2-docker-mirrors" in told
    assert "lost:" not in told
    # It proves by a pull of its own that spare2's Docker comes to the mirror.
    assert "created" in planned(two.make("up"))
    assert pulls("1")
    before = files("spare2")
    installed_from_scratch("spare1")
    told = two.make("reinstalled", HOST="spare1")
    assert "forgotten: spare1.hosted-container" in told
    assert "lost: the images of hosted" in told
    assert planned(two.make("up")).keys() == {"created", "unchanged"}
    assert files("spare2") == before
    push("2")
    assert pulls("2")
    assert planned(two.make("preview")).keys() == {"unchanged"}
    assert (work_dir() / "known_hosts").read_text().count("[127.0.1.31]") == 1


def test_a_dead_host_is_named_forgotten_and_cleaned_up_when_it_comes_back(two: TwoHosts) -> None:
    while_up = files("spare2")
    engine()("kill", host("spare2").container)
    try:
        changed = settings()
        changed["runtimes"][0]["docker"]["max_concurrent_downloads"] = 7
        two.write(changed)
        told = two.make("up", fails=True)
        assert "ops: spare2: can't be reached" in told
        assert "'make forget STACK=lost HOST=spare2'" in told
        without = settings()
        without["hosts"].pop()
        without["runtimes"] = []
        two.write(without)
        told = two.make("up", fails=True)
        assert "ops: spare2: is in the state, but not in the stack's file any more" in told
        assert "forgotten: spare2-docker-mirrors" in two.make("forget", HOST="spare2")
        assert planned(two.make("up")).keys() == {"unchanged"}
        two.make("destroy")
    finally:
        engine()("start", host("spare2").container)
        machines.wait(engine(), host("spare2"))
    assert files("spare2") == while_up
    must("spare2", f"{HOSTCTL} remove-all", '{"owner": "http-registry/lost/spare2"}')
    assert must("spare2", "ls /var/lib | grep http-registry; true") == ""
