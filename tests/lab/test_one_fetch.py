"""Decides that a cold blob comes from the registry once for any number of clients, and reaches all while it comes.

The registry sends at 100 MB/s, so a blob of 200 MB is two seconds on its way.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from lab.services import HUB_LOG
from ops.proof import MIRROR, REGISTRY
from ops.stack import Stack
from tests.lab.asking import login, run
from tests.lab.hosts import must
from tests.lab.random_images import HOSTED, HUB, Source, random_image

pytestmark = pytest.mark.lab

SIZE = 200_000_000
RATE = "rate 800mbit burst 1m latency 50ms"
REPOSITORY = "library/one-fetch"
HOSTS = ("docker1", "containerd1")
GONE_AFTER = 20_000_000
"""In the third slice."""
SENT = re.compile(r'"GET /v2/\S+ HTTP/1.1" (?:200|206) (\d+) ')
CONTAINER = "http-registry-hosted"


@dataclass(frozen=True)
class Way:
    """An endpoint of the proxy, what stands behind it, and how that tells what it has sent."""

    address: str
    source: Source
    log: str
    """A command that prints a line in the combined format for each of its requests."""
    network: str = ""
    """What is put before a command so that it sees what the source sends by eth0."""
    user: str = ""


WAYS = {
    "mirror": Way(MIRROR.removeprefix("http://"), HUB, f"cat {HUB_LOG}"),
    "hosted": Way(
        REGISTRY,
        HOSTED,
        f"docker logs {CONTAINER} 2>/dev/null",
        f"nsenter -n -t $(docker inspect -f '{{{{.State.Pid}}}}' {CONTAINER})",
        "puller",
    ),
}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    """Each way, slowed down."""
    chosen = WAYS[request.param]
    must(chosen.source.host, f"{chosen.network} tc qdisc add dev eth0 root tbf {RATE}")
    yield chosen
    must(chosen.source.host, f"{chosen.network} tc qdisc del dev eth0 root")


def pulled(
    way: Way, digest: str, headers: dict[str, str], clients: int, gone_after: int | None
) -> list[dict[str, Any]]:
    """What each of the clients, on two hosts, says of its pull. The one that goes away is on the first host."""
    start = time.monotonic() + 1
    path = f"/v2/{REPOSITORY}/blobs/{digest}"
    shares = [clients - clients // 2, clients // 2]

    def on_host(name: str, share: int, gone_after: int | None) -> list[dict[str, Any]]:
        return list(run(name, f"pull_at_once({way.address!r}, {path!r}, {headers!r}, {share}, {start}, {gone_after})"))

    with ThreadPoolExecutor() as threads:
        said = threads.map(on_host, HOSTS, shares, (gone_after, None))
        return [pull for pulls in said for pull in pulls]


@pytest.mark.parametrize(("clients", "gone_after"), [(1, None), (8, GONE_AFTER), (32, None)])
def test_the_registry_sends_it_once_and_all_have_it_from_the_start(
    way: Way, stack: Stack, clients: int, gone_after: int | None
) -> None:
    headers = login(stack, way.user) if way.user else {}
    with random_image(way.source, REPOSITORY, SIZE) as image:
        digest = image.layer
        pulls = pulled(way, digest, headers, clients, gone_after)
        sent = SENT.findall(must(way.source.host, f"{way.log} | grep -F '/{digest} '"))
    assert len(pulls) == clients
    right = {"status": 200, "size": SIZE, "digest": digest, "wrong": ""}
    assert [{key: each[key] for key in right} for each in pulls] == [right] * clients
    assert sum(map(int, sent)) == SIZE
    assert max(each["first"] for each in pulls) < min(each["last"] for each in pulls)
