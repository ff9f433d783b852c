"""Decides that what Prometheus reads is what users saw: real pulls by Docker and containerd, some of which fail.

The registry, its proxy and what counts are on one host; the other pulls, and runs Prometheus.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lab import host
from ops.proof import on
from tests.lab.hosts import must, reaches, without_records
from tests.lab.spare.figures import series
from tests.lab.spare.site import ADDRESS, PAIR, REGISTRY, RUNTIME
from tests.lab.spare.two_hosts import NAME, PASSWORD, TwoHosts, settings, two_hosts

pytestmark = pytest.mark.lab

REPOSITORY = f"{NAME}/team/app"
CONFIG = "/run/pulls"
DOCKER = f"docker --config {CONFIG} pull -q"
CONTAINERD = "ctr -n k8s.io images pull --plain-http"
RIGHT, WRONG = f"-u pusher:{PASSWORD}", "-u pusher:x"
LOADS: dict[str, dict[str, tuple[str, int, int]]] = {
    # by runtime, what is tried: the command that pulls, how often, how often that fails
    "docker": {
        "all right": (f"{DOCKER} {REPOSITORY}:1", 40, 0),
        "through the mirror": ("docker pull -q library/app:1", 10, 0),
        "no such tag": (f"{DOCKER} {REPOSITORY}:none", 2, 2),
        "no login": (f"docker --config /run pull -q {REPOSITORY}:1", 1, 1),
        "a layer is lost": (f"{DOCKER} {REPOSITORY}:broken", 1, 1),
    },
    "containerd": {
        "all right": (f"{CONTAINERD} {RIGHT} {REPOSITORY}:1", 43, 0),
        "no such tag": (f"{CONTAINERD} {RIGHT} {REPOSITORY}:none", 1, 1),
        "no login": (f"{CONTAINERD} {REPOSITORY}:1", 1, 1),
        "a wrong password": (f"{CONTAINERD} {WRONG} {REPOSITORY}:1", 1, 1),
    },
}
REMOVE = {
    "docker": f"docker image rm {REPOSITORY}:1 library/app:1",
    "containerd": f"ctr -n k8s.io images rm --sync {REPOSITORY}:1",
}
BLOBS = "/var/lib/docker/volumes/http-registry-hosted/_data/docker/registry/v2/blobs/sha256"
CACHED = "/var/cache/nginx/http-registry/hosted-80"
PUSH = f"""
echo {PASSWORD} | docker --config {CONFIG} login -u pusher --password-stdin {NAME} 2>/dev/null
for tag in 1 broken; do
    head -c 50000 /dev/urandom >/run/noise; tar c -C /run noise | docker import - {REPOSITORY}:$tag
    docker --config {CONFIG} push -q {REPOSITORY}:$tag
    docker image rm {REPOSITORY}:$tag; rm /run/noise
done
"""
LAYER = """
curl -sf -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \\
    http://127.0.0.1:5000/v2/team/app/manifests/broken | jq -r '.layers[0].digest' | cut -d: -f2
"""


def asked(expr: str) -> dict[str, float]:
    """What Prometheus answers: the value of each series by the values of its labels, but for who was scraped."""
    left_out = {"__name__", "host", "instance", "job"}
    return {
        " ".join(text for key, text in sorted(each["metric"].items()) if key not in left_out): float(each["value"][1])
        for each in series(RUNTIME, expr)
    }


def within(seconds: float, ask: Callable[[], Any], right: Callable[[Any], bool]) -> Any:
    """The first right answer."""
    end = time.monotonic() + seconds
    while not right(answer := ask()):
        assert time.monotonic() < end, answer
        time.sleep(0.5)
    return answer


def pulled(runtime: str) -> dict[str, tuple[int, int]]:
    """How often each was tried, and how often it failed, as its user saw it."""
    seen = {}
    for what, (command, times, _) in LOADS[runtime].items():
        each = f"{REMOVE[runtime]} >/dev/null 2>&1; {command} >/dev/null 2>&1 || failed=$((failed + 1))"
        script = f"failed=0; for _ in $(seq {times}); do {each}; done; echo $failed"
        seen[what] = (times, int(on(RUNTIME, script).stdout))
    must(RUNTIME, f"{REMOVE[runtime]} >/dev/null 2>&1; true")
    return seen


def seen(name: str) -> list[str]:
    """What is on a host, and what our services have kept and left behind."""
    folders = "/var/lib/http-registry-p* /var/lib/private/http-registry-p* /run/http-registry-p*"
    return without_records(name) + must(name, f"ls -d {folders} 2>/dev/null; true").splitlines()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHosts]:
    wanted = settings()
    wanted["metrics"] = {"prometheus": {"host": RUNTIME}, "pull_ends": "12s"}
    with two_hosts(tmp_path_factory.mktemp("metrics"), "measured", wanted, seen) as up:
        yield up


@pytest.fixture(scope="module")
def load(stack: TwoHosts) -> dict[str, dict[str, tuple[int, int]]]:
    """What was pulled, after Prometheus had begun."""
    must(RUNTIME, PUSH)
    layer = must(REGISTRY, LAYER).strip()
    # The push has it in nginx's cache as well.
    must(REGISTRY, f"rm -r {BLOBS}/{layer[:2]}/{layer} {CACHED}/*")
    with ThreadPoolExecutor() as both:
        return dict(zip(LOADS, both.map(pulled, LOADS), strict=True))


def test_a_hundred_pulls_of_which_seven_fail_read_93_percent(load: dict[str, dict[str, tuple[int, int]]]) -> None:
    assert load == {
        runtime: {what: (times, fails) for what, (_, times, fails) in each.items()} for runtime, each in LOADS.items()
    }
    assert sum(times for each in load.values() for times, _ in each.values()) == 100

    def ended() -> dict[str, float]:
        return asked("sum by (outcome) (http_registry_pulls_total)")

    assert within(60, ended, lambda now: sum(now.values()) >= 100) == {"succeeded": 93, "failed": 7}
    # The rule's last word may be of the moment before the last of them.
    rule = "all:http_registry_pull_success:ratio_1h"
    within(40, lambda: asked(rule), lambda now: f"{now.get('', 0):.0%}" == "93%")


def test_why_they_failed_and_where(load: object) -> None:
    assert asked('sum by (runtime, reason) (http_registry_pulls_total{outcome="failed"})') == {
        "login docker": 1,
        "missing docker": 3,
        "login containerd": 2,
        "missing containerd": 1,
    }
    assert set(asked("client:http_registry_pull_success:ratio_1h")) == {host(RUNTIME).address}

    def by_runtime() -> dict[str, float]:
        return asked("runtime:http_registry_pull_success:ratio_1h")

    # A young series counts a little more or less than others; docker: 50 of 54, containerd: 43 of 46.
    rates = within(40, by_runtime, lambda now: len(now) == 2 and max(now.values()) < 1)
    assert rates == pytest.approx({"docker": 0.93, "containerd": 0.93}, abs=0.04)


def test_times_and_what_the_cache_saved(load: object) -> None:
    mean, p95 = (asked(f"all:http_registry_pull_seconds:{each}_1h")[""] for each in ("mean", "p95"))
    assert 0.001 < mean < 2
    assert mean < p95 < 5
    assert set(asked("repository:http_registry_pull_seconds:p95_1h")) == {"team/app", "library/app"}
    hits = asked("registry:http_registry_cache_hit:ratio_1h")
    assert hits["hub-cache"] > 0.8
    # Ten pulls of one image that came from the hub once.
    size = asked('http_registry_stored_bytes{kind="cache", registry="hub-cache"}')["cache hub-cache"]
    served, fetched = (asked(f"http_registry_{each}_bytes_total")["hub-cache"] for each in ("served", "fetched"))
    assert 8.5 * size < served - fetched < 10 * size
    assert asked("registry:http_registry_saved_bytes:increase_1h").keys() == {"hub-cache"}


def test_every_part_is_scraped_and_up(stack: TwoHosts) -> None:
    assert asked('up{job=~"http-registry.*|prometheus"} == 0') == {}
    assert asked("count(up)") == {"": 4}
    assert asked("http_registry_up") == {
        "endpoint hosted :80": 1,
        "endpoint hub-cache :5080": 1,
        "registry hosted": 1,
        "upstream hub-cache": 1,
    }
    assert asked("min(http_registry_stored_bytes) > 0")
    assert asked('count(registry_http_requests_total{registry="hosted"})')
    assert asked("node_filesystem_avail_bytes > 0")


def test_nothing_is_public(stack: TwoHosts) -> None:
    """Only who runs Prometheus reaches the one port that is open; everything else is on 127.0.0.1."""
    assert reaches(RUNTIME, ADDRESS, 9180, "/metrics")
    assert not reaches("hub", ADDRESS, 9180, "/metrics")
    assert json.loads(stack.checkout.pulumi("stack", "output", "--json", "--stack", stack.stack))[
        "metrics_endpoint"
    ] == (f"http://{ADDRESS}:9180/metrics")
    for name in PAIR:
        open_to_all = re.findall(r"(?:0\.0\.0\.0|\*|\[::\]):(\d+)", must(name, "ss -Htln"))
        assert not {"9090", "9100", "15000"} & set(open_to_all)
    assert re.search(r"127\.0\.0\.1:15000", must(REGISTRY, "ss -Htln"))


def test_the_file_of_the_status_page(load: object) -> None:
    """nginx's workers can read it, and it says the same."""
    read = "setpriv --reuid www-data --regid www-data --clear-groups cat /run/http-registry-pulls/status.json"
    page = within(20, lambda: json.loads(must(REGISTRY, read)), lambda now: now["figures"]["pull_success_rate"]["now"])
    assert (page["stack"], round(page["figures"]["pull_success_rate"]["now"], 2)) == ("measured", 0.93)
    assert {each["state"] for each in page["parts"]} == {"up"}
    assert page["figures"]["storage_bytes"]["now"] > 0


def test_a_restart_and_a_rotation_lose_nothing(load: object) -> None:
    """Pulls while the service is down are counted when it is up again; the log is renamed meanwhile."""

    def counted() -> float:
        text = must(REGISTRY, "curl -s http://127.0.0.1:9180/metrics >/dev/null; curl -s http://127.0.0.1:9180/metrics")
        return sum(float(each) for each in re.findall(r"^http_registry_pulls_total.* (\S+)$", text, re.MULTILINE))

    before = counted()
    one = f"{REMOVE['containerd']} >/dev/null; {CONTAINERD} {RIGHT} {REPOSITORY}:1 >/dev/null"
    must(REGISTRY, "systemctl stop http-registry-pulls")
    must(RUNTIME, one)
    must(REGISTRY, "log=/var/log/nginx/http-registry.access.log; mv $log $log.1; systemctl start http-registry-pulls")
    must(RUNTIME, one)  # to the renamed file
    must(REGISTRY, "systemctl kill -s USR1 --kill-whom main nginx; sleep 0.5")
    must(RUNTIME, f"{one}; {REMOVE['containerd']} >/dev/null")
    must(REGISTRY, "rm /var/log/nginx/http-registry.access.log.1")
    assert within(20, counted, lambda now: now >= before + 3) == before + 3
