"""Decides what docs/day-two.md says of a refresh, of one host alone, and of a renamed host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.hosts import must, without_records
from tests.lab.spare.site import PAIR, REGISTRY, RUNTIME
from tests.lab.spare.two_hosts import NAME, TwoHosts, planned, pulling, pulls, settings, two_hosts

pytestmark = pytest.mark.lab

CONTAINER = "docker ps --no-trunc --format '{{.ID}}' --filter name=http-registry-hosted"
STARTED = "docker inspect --format '{{.State.StartedAt}}' http-registry-hosted"
DOCKERD = "systemctl show --property MainPID,NRestarts docker"

SITE_STEPS = (f"{REGISTRY}-nginx-proxy", f"{REGISTRY}-nginx-proxy-settled")
"""What a change of the site updates."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHosts]:
    with two_hosts(tmp_path_factory.mktemp("day-two"), "daytwo", with_login()) as made:
        yield made


def test_refresh_sees_that_a_container_is_gone_and_up_makes_it_again(two: TwoHosts) -> None:
    must(REGISTRY, "docker rm --force http-registry-hosted")
    assert "deleted" in planned(two.make("refresh"))
    assert planned(two.make("preview"))["create"] == 1
    assert planned(two.make("up"))["created"] == 1
    assert pulls("1")


def test_a_host_alone_is_changed_and_the_state_says_no_more_than_that(two: TwoHosts) -> None:
    """Both hosts are to change; the other one, and what is known of it, wait for the next `up`."""
    two.write(changed())
    before, known = without_records(REGISTRY), two.documents()
    alone = two.make("preview", HOST=RUNTIME)
    assert planned(alone)["update"] == 1
    assert f"{REGISTRY}-" not in alone
    assert planned(two.make("up", HOST=RUNTIME))["updated"] == 1
    assert '"max-concurrent-downloads": 7' in must(RUNTIME, "cat /etc/docker/daemon.json")
    assert without_records(REGISTRY) == before
    assert two.documents()[REGISTRY] == known[REGISTRY]
    assert two.documents()[RUNTIME] != known[RUNTIME]
    rest = two.make("preview")
    assert planned(rest)["update"] == len(SITE_STEPS)
    assert "max-age=90" in rest
    assert "max-concurrent-downloads" not in rest
    assert planned(two.make("up"))["updated"] == len(SITE_STEPS)


def test_renamed_hosts_keep_all_that_is_on_them(two: TwoHosts) -> None:
    """Both at once, while somebody pulls: no container, no daemon is touched, and `was` can go afterwards."""
    wanted = changed()
    for each, name in zip(wanted["hosts"], ("front", "build"), strict=True):
        each["name"] = name
    for each in wanted["registries"]:
        each["host"] = "front"
    wanted["proxy"]["host"], wanted["runtimes"][0]["host"] = "front", "build"
    before = files()
    daemons = [must(REGISTRY, f"{CONTAINER}; {STARTED}; {DOCKERD}"), must(RUNTIME, DOCKERD)]
    two.write(wanted)
    told = two.make("up", fails=True)
    for each, old in zip(wanted["hosts"], PAIR, strict=True):
        assert f"{each['name']}: has the address of {old}" in told
        each["was"] = old
    two.write(wanted)
    assert planned(two.make("preview")).keys() == {"update", "unchanged"}
    assert "2 hosts asked: no drift" in two.make("drift")
    with pulling("1") as seen:
        assert planned(two.make("up")).keys() == {"updated", "unchanged"}
    assert len(seen["pulls"]) > 20
    assert seen["lost"] == []
    assert [must(REGISTRY, f"{CONTAINER}; {STARTED}; {DOCKERD}"), must(RUNTIME, DOCKERD)] == daemons
    assert files() == before
    owners = must(REGISTRY, "grep -ho '\"owner\": .*' /var/lib/http-registry/units/*.json | sort -u")
    assert owners == '"owner": "http-registry/daytwo/front"\n'
    for each in wanted["hosts"]:
        del each["was"]
    two.write(wanted)
    assert planned(two.make("preview")).keys() == {"unchanged"}
    assert "2 hosts asked: no drift" in two.make("drift")


def with_login() -> dict[str, Any]:
    """The settings with a runtime that logs in at the proxy, so that the whole `up` has a last step there."""
    wanted = settings()
    wanted["runtimes"][0]["cli"] = [{"user": "root", "logins": [{"registry": NAME, "user": "pusher"}]}]
    return wanted


def changed() -> dict[str, Any]:
    """Settings that change something on each host."""
    wanted = with_login()
    wanted["runtimes"][0]["docker"]["max_concurrent_downloads"] = 7
    wanted["proxy"]["cache"] = {"tag_lifetime": "90s"}
    return wanted


def files() -> dict[str, list[str]]:
    """What is on both hosts, but for what nginx has kept of pulls."""
    return {name: [line for line in without_records(name) if "/var/cache/nginx" not in line] for name in PAIR}
