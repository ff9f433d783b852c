"""Decides that Prometheus reads containerd's own figures from another host, and that nobody else does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hostctl.units.containerd_mirrors import METRICS_PATH
from hostctl.waiting import wait_until
from lab import host
from tests.lab.hosts import reaches
from tests.lab.spare.figures import series
from tests.lab.spare.site import REGISTRY, RUNTIME
from tests.lab.spare.two_hosts import TwoHosts, settings, two_hosts

pytestmark = pytest.mark.lab

PORT = 1338
THERE = host(RUNTIME).address
UP = 'up{job="http-registry-containerd"}'


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHosts]:
    wanted = settings()
    wanted["metrics"] = {"prometheus": {"host": REGISTRY}, "containerd_port": PORT}
    wanted["runtimes"][0]["containerd"] = {}
    with two_hosts(tmp_path_factory.mktemp("scraped"), "scraped", wanted) as up:
        yield up


def test_prometheus_reads_it(stack: TwoHosts) -> None:
    def complaint() -> str | None:
        seen = {each["metric"]["host"]: each["value"][1] for each in series(REGISTRY, UP)}
        return None if seen == {RUNTIME: "1"} else f"{UP}: {seen}"

    wait_until(complaint, 40)


def test_nobody_else_does(stack: TwoHosts) -> None:
    assert reaches(REGISTRY, THERE, PORT, METRICS_PATH)
    assert not reaches("hub", THERE, PORT, METRICS_PATH)
    assert reaches(RUNTIME, "127.0.0.1", PORT, METRICS_PATH)
