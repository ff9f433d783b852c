"""Decides, on three spare hosts, what two proxies with a floating address are worth: while loops of pulls and pushes go
on, the address moves where nginx or its host fails, stays there, and `destroy` leaves nothing of it.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from hostctl.waiting import wait_until
from lab import host
from lab.services import S3
from ops.proof import APP, on
from tests.checkout import on_the_lab
from tests.lab.hosts import must, reaches, without_records
from tests.lab.spare.costs import Cost
from tests.lab.spare.figures import series
from tests.lab.spare.site import CACHE, FLOATING, REGISTRY, RUNTIME, SITE, THIRD, as_setting
from tests.lab.spare.two_hosts import NAME, PASSWORD, TwoHosts, looping, planned, pulls, push
from tests.registry_client import MANIFEST

pytestmark = pytest.mark.lab

STACK, PREFIX = "two-proxies", f"two-proxies-{REGISTRY}"
PROXIES = (REGISTRY, THIRD)
HOSTS = (REGISTRY, RUNTIME, THIRD)
SETTINGS: dict[str, Any] = {
    **SITE,
    "hosts": [as_setting(name) for name in HOSTS],
    "registries": [
        {
            "kind": "hosted",
            "name": "hosted",
            "host": REGISTRY,
            "http_secret": True,
            "garbage_collection": {"schedule": "*-01-01 00:00", "untagged": True, "spare": "1s"},
            "storage": {
                "s3": {"endpoint": S3.endpoint, "region": S3.region, "bucket": S3.bucket, "prefix": PREFIX},
            },
        },
        CACHE,
    ],
    "proxy": {
        "host": REGISTRY,
        "standby": {"host": THIRD, "by": "keepalived", "address": FLOATING, "router_id": 70 + int(FLOATING[-1])},
        "endpoints": [
            {"registry": "hosted", "port": 80, "server_name": NAME},
            {"registry": "hub-cache", "port": 5080, "server_name": NAME},
        ],
        "users": [{"name": "pusher", "role": "push"}],
        "bcrypt_cost": 4,
    },
    "runtimes": [{"host": RUNTIME, "docker": {}}],
    # Not on the client's host: one that talks to a proxy all the time believes in it longer (docs/two-proxies.md).
    "metrics": {"prometheus": {"host": REGISTRY}, "pull_ends": "12s"},
}
SECRETS = {
    "password-pusher": PASSWORD,
    "s3-access-key-hosted": S3.access_key,
    "s3-secret-key-hosted": S3.secret_key,
    "http-secret-hosted": "of-both",
}
PULL = "assert client.pull('team/app', '1')\ntold['done'].append(time.time())"
PUSH = """
content = os.urandom(100_000)
place = client.begin('team/app')
for part in range(4):
    place = client.send(place, content[25_000 * part:25_000 * (part + 1)])
client.finish(place, content)
assert client.put('team/app', 'loop', image(content, [])).status == 201
told['done'].append(time.time())
"""
PATIENCE = 30
"""Seconds: a request that a client sends before the address has moved waits for the client's own 20."""
Record = Callable[[str, object], None]


def leads(*addresses: str) -> None:
    """Let the registry's name lead to these addresses on all three hosts."""
    lines = "".join(f"echo '{each} {NAME}'; " for each in addresses)
    for name in HOSTS:
        must(name, f"text=$(grep -v ' {NAME}$' /etc/hosts); {{ echo \"$text\"; {lines}}} > /etc/hosts")


def holder() -> list[str]:
    """Who has the floating address."""
    return [name for name in PROXIES if must(name, f"ip -o address show to {FLOATING}").strip()]


def becomes(wanted: list[str]) -> None:
    """Wait until these have it."""
    deadline = time.monotonic() + 20
    while holder() != wanted:
        assert time.monotonic() < deadline, holder()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHosts]:
    before = {name: without_records(name) for name in HOSTS}
    with on_the_lab(tmp_path_factory.mktemp(STACK)) as checkout:
        made = TwoHosts(checkout, STACK)
        made.write(SETTINGS)
        checkout.pulumi("stack", "init", STACK, "--no-select")
        for key, value in SECRETS.items():
            checkout.secret(STACK, key, value)
        leads(FLOATING)
        try:
            made.make("up")
            push("1", 100_000)
            yield made
        finally:
            made.make("destroy")
            leads()
            must("hub", f"rm -rf /var/lib/versitygw/{S3.bucket}/{PREFIX}")
    after = {name: without_records(name) for name in HOSTS}
    assert after == before, {name: sorted(set(after[name]) ^ set(before[name])) for name in HOSTS}
    assert holder() == []


@contextmanager
def measured(fault: str, record: Record) -> Iterator[dict[str, float]]:
    """Loops of pulls and pushes around the block, which notes `at`, when its fault began; then a row for each."""
    noted: dict[str, float] = {}
    with looping(PULL) as pulled, looping(PUSH) as pushed:
        time.sleep(1)
        yield noted
        time.sleep(1)
    for what, told in {"pulls": pulled, "pushes": pushed}.items():
        lost = [float(each.split()[0]) for each in told["lost"]]
        done = sorted(told["done"])
        first = next((each for each in done if not lost or each > lost[-1]), None)
        assert first, f"{fault}: no {what} since {told['lost'][-1]}"
        seconds = first - noted["at"] if lost else None
        longest = max(after - before for before, after in pairwise(done))
        Cost(fault, f"{what}, {longest:.1f} s between two", len(done) + len(lost), len(lost), seconds).told(record)
        assert seconds is None or seconds < PATIENCE, told["lost"]


@contextmanager
def cable_pulled(name: str) -> Iterator[None]:
    """The switch sends its frames nowhere; the host itself goes on, and does not know."""
    index = re.search(r"eth0@if(\d+)", must(name, "ip -o link show eth0"))
    assert index
    links = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
    port = next(each["ifname"] for each in links if each["ifindex"] == int(index[1]))
    subprocess.run(["bridge", "link", "set", "dev", port, "state", "0"], check=True)
    try:
        yield
    finally:
        subprocess.run(["bridge", "link", "set", "dev", port, "state", "3"], check=True)


@contextmanager
def frozen(name: str) -> Iterator[None]:
    """nginx there takes connections and says nothing."""
    must(name, "systemctl kill --signal=STOP nginx")
    try:
        yield
    finally:
        must(name, "systemctl kill --signal=CONT nginx")


def test_the_address_is_at_one_of_the_two_and_a_second_up_changes_nothing(two: TwoHosts) -> None:
    assert holder() == [REGISTRY]
    assert set(planned(two.make("preview"))) == {"unchanged"}


def asked(name: str, method: str) -> str:
    """The status of a request to one proxy, by its own address, and when to come again where it says so."""
    path = {"GET": "/v2/team/app/manifests/1", "POST": "/v2/team/app/blobs/uploads/"}[method]
    way = f"-s -D - -o /dev/null -H 'Accept: {MANIFEST}' --resolve {NAME}:80:{host(name).address}"
    told = must(RUNTIME, f"curl {way} -u pusher:{PASSWORD} -X {method} http://{NAME}{path}")
    again = re.search(r"(?im)^retry-after: (\d+)", told)
    return told.split()[1] + (f", again in {again[1]} s" if again else "")


def test_garbage_is_collected_only_while_both_hold_pushes_off(two: TwoHosts) -> None:
    gate, unit = "/run/http-registry-gc-hosted", "http-registry-gc-hosted.service"
    push("2", 100_000)
    push("2", 100_000)  # the first one has no tag any more
    assert [asked(name, method) for name in PROXIES for method in ("GET", "POST")] == ["200", "202"] * 2
    must(REGISTRY, f"mkdir {gate}; touch {gate}/closed")
    answers(THIRD, "503, again in 5 s")
    assert asked(THIRD, "GET") == "200"
    must(REGISTRY, f"rm -r {gate}")
    with frozen(THIRD):
        assert on(REGISTRY, f"systemctl start {unit}").returncode
    assert "does not hold pushes off" in must(REGISTRY, f"journalctl -u {unit} -o cat -n 5")
    must(REGISTRY, f"systemctl start {unit}")
    assert "removed 1 untagged" in must(REGISTRY, f"journalctl -u {unit} -o cat -n 5")
    assert pulls("1", "2")
    for name in PROXIES:
        answers(name, "202")


def answers(name: str, wanted: str) -> None:
    """Wait until a push that begins at a proxy gets this; nginx there keeps what it knows of a file for 5 s."""
    deadline = time.monotonic() + 8
    while asked(name, "POST") != wanted:
        assert time.monotonic() < deadline, wanted
        time.sleep(0.1)


def test_nginx_is_killed_and_the_address_moves_and_stays(two: TwoHosts, record_property: Record) -> None:
    (first,), (second,) = holder(), [name for name in PROXIES if name not in holder()]
    with measured("nginx of the proxy killed, and started by systemd", record_property) as noted:
        noted["at"] = time.time()
        must(first, "systemctl kill --signal=KILL nginx")
        time.sleep(2)
    with measured("nginx of the proxy stopped", record_property) as noted:
        noted["at"] = time.time()
        must(first, "systemctl stop nginx")
        becomes([second])
    with measured("nginx there again", record_property) as noted:
        noted["at"] = time.time()
        must(first, "systemctl start nginx")
        time.sleep(4)
        assert holder() == [second]


def test_the_proxys_host_is_cut_off_and_comes_back(two: TwoHosts, record_property: Record) -> None:
    (first,), (second,) = holder(), [name for name in PROXIES if name not in holder()]
    with measured("the proxy's host cut off", record_property) as noted, cable_pulled(first):
        noted["at"] = time.time()
        becomes(sorted([first, second], key=PROXIES.index))
        time.sleep(3)
    with measured("the proxy's host back", record_property) as noted:
        noted["at"] = time.time()
        time.sleep(4)
    assert len(holder()) == 1


def test_the_sites_change_and_nobody_notices(two: TwoHosts, record_property: Record) -> None:
    changed = {**SETTINGS, "proxy": {**SETTINGS["proxy"], "cache": {"size": "2g"}}}
    with measured("both proxies' sites changed by `up`", record_property) as noted:
        two.write(changed)
        noted["at"] = time.time()
        two.make("up")


def test_the_registrys_container_dies_and_the_address_moves(two: TwoHosts, record_property: Record) -> None:
    (first,), (second,) = holder(), [name for name in PROXIES if name not in holder()]
    with measured("the registry at one proxy stopped", record_property) as noted:
        noted["at"] = time.time()
        must(first, "docker stop --time 0 http-registry-hosted")
        becomes([second])
    must(first, "docker start http-registry-hosted")


DNS = {
    "docker pull": f"docker pull -q {APP}; docker rmi {APP}",
    "ctr pull": f"ctr -n dns images pull --plain-http {NAME}:5080/{APP} && ctr -n dns images rm {NAME}:5080/{APP}",
}


def test_a_name_of_both_addresses(two: TwoHosts, record_property: Record) -> None:
    """What `by: dns` is worth: clients try the next address."""
    leads(*(host(name).address for name in PROXIES))
    try:
        must(REGISTRY, "systemctl stop nginx")
        try:
            took = {f"nginx at the first address stopped, {what}": spent(pull) for what, pull in DNS.items()}
        finally:
            must(REGISTRY, "systemctl start nginx")
        with cable_pulled(REGISTRY):
            took |= {f"host of the first address cut off, {what}": spent(pull) for what, pull in DNS.items()}
    finally:
        leads(FLOATING)
        # containerd cleans up behind the images in its own time.
        must(RUNTIME, "for i in $(seq 20); do ctr namespaces rm dns && exit; sleep 1; done; exit 1")
    for fault, seconds in took.items():
        Cost(f"by DNS: {fault}", "the pull's own seconds", 1, 0, seconds).told(record_property)
        assert seconds < 30  # 17 where nothing else goes on; a client that waits for its own patience takes 40


def spent(script: str) -> float:
    began = time.monotonic()
    must(RUNTIME, script)
    return time.monotonic() - began


def test_docker_pulls_through_the_standby_and_the_doctor_finds_nothing(two: TwoHosts) -> None:
    (first,), (second,) = holder(), [name for name in PROXIES if name not in holder()]
    must(first, "systemctl stop nginx")
    becomes([second])
    must(RUNTIME, f"docker rmi -f {APP} 2>/dev/null; docker pull -q {APP}; docker rmi {APP}")
    must(first, "systemctl start nginx")
    assert holder() == [second]
    two.make("doctor")


def test_the_pulls_of_both_proxies_are_counted(two: TwoHosts) -> None:
    """Each is read, also the one that was cut off before, and by nobody else than Prometheus."""
    assert [asked(name, "GET") for name in PROXIES] == ["200", "200"]
    jobs = ("http-registry", "http-registry-node", "http-registry-registry-hosted-1")
    read = {(job, name): "1" for job in jobs for name in PROXIES}

    def complaint() -> str | None:
        up = {
            (each["metric"]["job"], each["metric"]["host"]): each["value"][1]
            for each in series(REGISTRY, 'up{job=~"http-registry.*"}')
        }
        counted = series(REGISTRY, 'sum by (host) (http_registry_pulls_total{outcome="succeeded"}) > 0')
        hosts = {each["metric"]["host"] for each in counted}
        return None if up == read and hosts == set(PROXIES) else f"{up}, pulls by way of {hosts}"

    wait_until(complaint, 60)
    assert not [name for name in PROXIES if reaches(RUNTIME, host(name).address, 9180, "/metrics")]
