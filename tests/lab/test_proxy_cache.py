"""Decides what the proxy's cache outlives, what it stands in for while others are down, and what never gets into it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from lab import docker, host
from lab.hosts import HUB_PORT
from lab.services import HUB_LOG
from ops.proof import MIRROR, REGISTRY, proxy_log
from ops.stack import PROJECT, Stack
from tests.lab.asking import Ask, ask, login, statuses
from tests.lab.hosts import hub_is_down_for, must
from tests.lab.random_images import HOSTED, HUB, TAG, Image, random_image
from tests.lab.unit_requests import hostctl, proxy_wish

pytestmark = pytest.mark.lab

CLIENT = "docker1"
REPOSITORY = "library/proxy-cache"
MIRRORED, OWN = f"{MIRROR}/v2/{REPOSITORY}", f"http://{REGISTRY}/v2/{REPOSITORY}"
SIZE = 20_000_000
"""Three slices."""
KILL = (
    "kill -9 $(cat /run/nginx.pid) && timeout 10 sh -c 'while systemctl -q is-active nginx; do sleep 0.05; done'"
    " && systemctl start nginx"
)
FRESH, STALE = 2, 4
"""Seconds that a tag counts, and that it counts longer while the hub is down."""


@pytest.fixture(scope="module")
def puller(stack: Stack) -> dict[str, str]:
    return login(stack, "puller")


@pytest.fixture(scope="module")
def pusher(stack: Stack) -> dict[str, str]:
    return login(stack, "pusher")


@pytest.fixture
def mirrored() -> Iterator[Image]:
    with random_image(HUB, REPOSITORY, SIZE) as image:
        yield image


@pytest.fixture
def hosted() -> Iterator[Image]:
    with random_image(HOSTED, REPOSITORY, SIZE) as image:
        yield image


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def cache_said(*asked: Ask) -> list[str]:
    """What the proxy's log says of its cache for each request; empty where it was not looked into."""
    with proxy_log() as log:
        ask(CLIENT, *asked)
    return [entry["cache"] for entry in log]


@pytest.mark.parametrize("ended", ["systemctl restart nginx", KILL, "reboot"], ids=["restart", "kill", "reboot"])
def test_it_outlives(mirrored: Image, hosted: Image, puller: dict[str, str], ended: str) -> None:
    """And all is there again: the inner servers, the origin service, the registry."""
    layers = [Ask(f"{MIRRORED}/blobs/{mirrored.layer}"), Ask(f"{OWN}/blobs/{hosted.layer}", puller)]
    right = [mirrored.layer, hosted.layer]
    assert [each.digest for each in ask(CLIENT, *layers)] == right
    if ended == "reboot":
        engine = docker.running()
        assert engine is not None
        must("registry", "systemctl reboot")
        engine("wait", host("registry").container)
        subprocess.run([PROJECT / "lab" / "up"], check=True, stdout=subprocess.DEVNULL)
    else:
        must("registry", ended)
    cold = [Ask(f"{MIRRORED}/blobs/{mirrored.config}"), Ask(f"{OWN}/blobs/{hosted.config}", puller)]
    until(lambda: statuses(CLIENT, cold) == [200, 200])
    assert cache_said(*layers) == ["HIT", "HIT"]
    assert [each.digest for each in ask(CLIENT, *layers)] == right


def test_while_the_hub_is_down_what_is_there_is_served(stack: Stack, mirrored: Image) -> None:
    """A tag only for as long as the settings say."""
    tag = Ask(f"{MIRRORED}/manifests/{TAG}")
    good = [Ask(f"{MIRRORED}/manifests/{mirrored.manifest}"), Ask(f"{MIRRORED}/blobs/{mirrored.layer}")]
    cold = Ask(f"{MIRRORED}/blobs/{mirrored.config}")
    hostctl("registry", "apply", proxy_wish(stack, tag_lifetime=f"{FRESH}s", stale=f"{STALE}s"), unit="nginx-proxy")
    try:
        said = [each.digest for each in ask(CLIENT, tag, *good)]
        answered = time.monotonic()
        assert said == [mirrored.manifest, mirrored.manifest, mirrored.layer]
        with hub_is_down_for("registry", HUB_PORT):
            assert statuses(CLIENT, [tag, *good, cold]) == [200, 200, 200, 502]
            time.sleep(max(0.0, answered + FRESH + 1 - time.monotonic()))
            assert [each.digest for each in ask(CLIENT, tag, *good)] == said
            time.sleep(max(0.0, answered + FRESH + STALE + 1 - time.monotonic()))
            assert statuses(CLIENT, [tag, *good, cold]) == [502, 200, 200, 502]
    finally:
        hostctl("registry", "apply", proxy_wish(stack), unit="nginx-proxy")
    assert statuses(CLIENT, [tag, *good, cold]) == [200] * 4


def test_what_one_deletes_is_gone_for_another_at_once(
    hosted: Image, puller: dict[str, str], pusher: dict[str, str]
) -> None:
    for kind, digest in (("blobs", hosted.layer), ("manifests", hosted.manifest)):
        url = f"{OWN}/{kind}/{digest}"
        assert [each.digest for each in ask(CLIENT, Ask(url, puller), Ask(url, puller))] == [digest] * 2
        assert statuses(CLIENT, [Ask(url, pusher, "DELETE"), Ask(url, puller)]) == [202, 404]


def test_what_is_never_kept(mirrored: Image, hosted: Image, puller: dict[str, str], pusher: dict[str, str]) -> None:
    lists = [Ask(f"{MIRRORED}/tags/list"), Ask(f"{OWN}/tags/list", puller)]
    pings = [Ask(f"{MIRROR}/v2/"), Ask(f"http://{REGISTRY}/v2/", puller)]
    uploads = [Ask(f"{OWN}/blobs/uploads/", pusher, "POST")] * 2
    # What a registry last said to its ping is kept for when it can't say anything; until then it is asked.
    last = ["", "BYPASS"]
    assert cache_said(*lists, *lists, *pings, *pings, *uploads) == [""] * 4 + last * 2 + [""] * 2
    # Each has been asked of the registry itself, and not of what nginx keeps of an earlier answer.
    places = [each.headers["location"] for each in ask(CLIENT, *uploads)]
    assert len(set(places)) == 2
    assert must("hub", f"grep -cF '/v2/{REPOSITORY}/tags/list ' {HUB_LOG}").strip() != "1"
    for each in places:
        assert statuses(CLIENT, [Ask(each, pusher, "DELETE")]) == [204]
