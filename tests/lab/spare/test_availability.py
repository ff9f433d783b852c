"""Decides, on the spare hosts, what an update of the registry and what faults cost those who pull and push meanwhile.

One registry has two replicas over a bucket, another one container with a volume. What is measured is told as a table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab.services import S3
from tests.checkout import on_the_lab
from tests.lab.hosts import must, without_records
from tests.lab.spare.costs import Cost
from tests.lab.spare.site import CACHE, PAIR, REGISTRY, SITE
from tests.lab.spare.two_hosts import NAME, TwoHosts, begun, ended, looping, push

pytestmark = pytest.mark.lab

STORE = {"endpoint": S3.endpoint, "region": S3.region, "bucket": S3.bucket, "prefix": f"available-{REGISTRY}"}
KEPT = f"/var/lib/versitygw/{S3.bucket}/available-{REGISTRY}"
"""Where the hub has it."""
ALONE = f"http://{NAME}:81"
CONTAINERS = ("http-registry-hosted", "http-registry-hosted-2", "http-registry-alone")
IDS = f"docker inspect -f '{{{{.Id}}}}' {' '.join(CONTAINERS)}"
MARKS = "ls /run/http-registry-replicas 2>/dev/null; systemctl list-timers --all --no-legend 'http-registry-replica-*'"
PUSH = """
layer = os.urandom(600_000)
place = client.begin("team/pushed")
for at in range(0, len(layer), 200_000):
    place = client.send(place, layer[at : at + 200_000])
client.finish(place, layer)
config = os.urandom(16)
client.upload("team/pushed", config)
answer = client.put("team/pushed", f"t{number}", image(config, [layer]))
assert answer.status == 201, (answer.status, answer.body)
told["done"].append(time.time())
"""
"""One push in several parts."""
PULL = "assert client.pull('team/app', '1')\ntold['done'].append(time.time())"


def settings(*, verify: bool) -> dict[str, Any]:
    """`verify`: counts for nothing at an HTTP endpoint, but changes the configuration of both registries."""
    return {
        **SITE,
        "registries": [
            {
                "kind": "hosted",
                "name": "hosted",
                "host": REGISTRY,
                "replica_ports": [5010],
                "storage": {"s3": {**STORE, "verify": verify}},
            },
            {"kind": "hosted", "name": "alone", "host": REGISTRY, "port": 5020, "keep_data": False},
            CACHE,
        ],
        "proxy": {
            "host": REGISTRY,
            "endpoints": [
                {"registry": "hosted", "port": 80, "server_name": NAME},
                {"registry": "alone", "port": 81, "server_name": NAME},
                {"registry": "hub-cache", "port": 5080, "server_name": NAME},
            ],
            "users": [{"name": "pusher", "role": "push"}],
            "bcrypt_cost": 4,
        },
        **({} if verify else {"metrics": {}}),
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHosts]:
    before = {name: without_records(name) for name in PAIR}
    with on_the_lab(tmp_path_factory.mktemp("available")) as checkout:
        two = begun(checkout, "available", settings(verify=True))
        known = {"s3-access-key-hosted": S3.access_key, "s3-secret-key-hosted": S3.secret_key}
        for key, value in {**known, "http-secret-hosted": "of-both"}.items():
            checkout.secret("available", key, value)
        try:
            two.make("up")
            push("1", 2_000_000)
            yield two
        finally:
            ended(two)
            must("hub", f"rm -rf {KEPT}")
    assert {name: without_records(name) for name in PAIR} == before


@contextmanager
def under_way(record: Callable[[str, object], None], fault: str, bodies: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Loops of pulls, pushes and the like while the block runs, and a row of the table for each.

    The block tells when the fault `began`. Behind it, what each loop has told.
    """
    found: dict[str, Any] = {}
    names = list(bodies)
    loops = [looping(bodies[name]) for name in names]
    told = [each.__enter__() for each in loops]
    try:
        time.sleep(1)
        yield found
        time.sleep(1)
    finally:
        for each in loops:
            each.__exit__(None, None, None)
    for name, said in zip(names, told, strict=True):
        found[name] = said
        cost(found.get("began", 0.0), fault, name, said).told(record)


def cost(began: float, fault: str, what: str, told: dict[str, Any]) -> Cost:
    lost = told["lost"]
    last = max((float(each.split()[0]) for each in lost), default=0.0)
    after = [each for each in told["done"] if each > last]
    return Cost(fault, what, len(told["done"]) + len(lost), len(lost), after[0] - began if lost and after else None)


def test_an_update_of_the_registry_is_an_error_to_nobody(
    site: TwoHosts, record_property: Callable[[str, object], None]
) -> None:
    """Both replicas are others afterwards, one after the other."""
    before = must(REGISTRY, IDS).split()
    site.write(settings(verify=False))
    with under_way(record_property, "an update of two replicas", {"pulls": PULL, "pushes": PUSH}) as told:
        told["began"] = time.time()
        site.make("up")
    after = must(REGISTRY, IDS).split()
    assert not {*before} & {*after}
    assert (told["pulls"]["lost"], told["pushes"]["lost"]) == ([], [])
    assert len(told["pushes"]["done"]) > 10
    assert must(REGISTRY, MARKS) == ""
