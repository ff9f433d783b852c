"""Decides, on the spare hosts, what an update of the registry and what faults cost those who pull and push meanwhile.

One registry has two replicas over a bucket, another one container with a volume. What is measured is told as a table.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from documents.nginx_hosted import RETRY_AFTER
from hostctl.units.garbage_collection import gate
from lab import host
from lab.services import S3
from tests.checkout import on_the_lab
from tests.lab.hosts import HOSTCTL, must, without_records
from tests.lab.spare.costs import Cost
from tests.lab.spare.site import CACHE, PAIR, REGISTRY, RUNTIME, SITE
from tests.lab.spare.two_hosts import LOGIN, NAME, TwoHosts, begun, ended, looping, push

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
HELD = f"""
try:
{textwrap.indent(PUSH, "    ")}
except AssertionError as held:
    if held.args[0][0] != 503 or b"push again soon" not in held.args[0][1]:
        raise
    told["held"].append(time.time())
"""
"""The same, where one that is told to come again has lost nothing."""
AT_ALONE = f"client = Client({ALONE!r}, {LOGIN!r})\n"
PULL_ALONE = f"""{AT_ALONE}
if not number:
    client.push("team/app", "1", os.urandom(16), os.urandom(2_000_000))
assert client.ask("GET", "/v2/").status == 200
assert client.pull("team/app", "1")
told["done"].append(time.time())
"""
PULL = "assert client.pull('team/app', '1')\ntold['done'].append(time.time())"


def relabelled(source: Path, target: Path) -> None:
    """Write an archive of the same program under another id, as a new version of the image has one."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        texts = {member.name: old.extractfile(member) for member in old}
        (manifest,) = json.load(texts["manifest.json"] or io.BytesIO())
        config = json.load(texts[manifest["Config"]] or io.BytesIO())
        config["config"]["Labels"] = {"version": "another"}
        content = json.dumps(config).encode()
        manifest["Config"] = f"{hashlib.sha256(content).hexdigest()}.json"
        written = {manifest["Config"]: content, "manifest.json": json.dumps([manifest]).encode()}
        for layer in manifest["Layers"]:
            new.addfile(old.getmember(layer), texts[layer])
        for name, text in written.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            new.addfile(entry, io.BytesIO(text))


def settings(*, verify: bool, archive: str = SITE["image"]["archive"]) -> dict[str, Any]:
    """`verify`: counts for nothing at an HTTP endpoint, but changes the configuration of both registries."""
    return {
        **SITE,
        "image": {**SITE["image"], "archive": archive},
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
        **({} if verify else {"metrics": {"pull_ends": "5s"}}),
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
    """Its image and its configuration are others, so all containers are afterwards, the replicas one after the other.
    Who pushes to a registry with only one is told to come again."""
    before = must(REGISTRY, IDS).split()
    relabelled(site.checkout.folder / SITE["image"]["archive"], site.checkout.folder / "another.tar")
    site.write(settings(verify=False, archive="another.tar"))
    bodies = {
        "pulls": PULL,
        "pushes": PUSH,
        "pulls, one container": PULL_ALONE,
        "pushes, one container": AT_ALONE + HELD,
    }
    with under_way(record_property, "an update of the registry", bodies) as told:
        told["began"] = time.time()
        site.make("up")
    assert not {*before} & {*must(REGISTRY, IDS).split()}
    assert [(name, lost) for name in bodies for lost in told[name]["lost"]] == []
    assert min(len(told[name]["done"]) for name in bodies) > 10
    labels = "docker inspect -f '{{.Config.Labels.version}}' " + " ".join(CONTAINERS)
    assert must(REGISTRY, labels).split() == ["another"] * 3
    assert must(REGISTRY, MARKS) == ""


def test_a_replica_that_is_killed_costs_what_it_was_at(
    site: TwoHosts, record_property: Callable[[str, object], None]
) -> None:
    """Docker starts it again; until then the other one serves."""
    pid = f"docker inspect -f '{{{{.State.Pid}}}}' {CONTAINERS[1]}"
    with under_way(record_property, "a replica killed (SIGKILL)", {"pulls": PULL, "pushes": PUSH}) as told:
        told["began"] = time.time()
        must(REGISTRY, f"kill -KILL $({pid})")
        time.sleep(5)
    assert told["pulls"]["lost"] == []
    assert len(told["pushes"]["lost"]) <= 3
    assert len([each for each in told["pushes"]["done"] if each > told["began"] + 3]) > 2


def test_while_garbage_is_collected_pushes_are_told_to_come_again_and_pulls_go_on(
    site: TwoHosts, record_property: Callable[[str, object], None]
) -> None:
    """What a run puts down while it removes something: tests/lab/test_garbage_collection.py has the run itself."""
    closed = gate("hosted")
    with under_way(record_property, "garbage collection, 3 s of it", {"pulls": PULL, "pushes": HELD}) as told:
        told["began"] = time.time()
        must(REGISTRY, f"mkdir $(dirname {closed}); touch {closed}")
        time.sleep(1)
        headers = must(RUNTIME, f"curl -s -D - -o /dev/null -X POST http://{NAME}/v2/team/x/blobs/uploads/")
        time.sleep(2)
        must(REGISTRY, f"rm -r $(dirname {closed})")
        time.sleep(RETRY_AFTER + 1)
    assert "503" in headers.splitlines()[0]
    assert f"retry-after: {RETRY_AFTER}" in headers.lower()
    assert (told["pulls"]["lost"], told["pushes"]["lost"]) == ([], [])
    assert told["pushes"]["held"]
    assert told["pushes"]["done"][-1] > told["pushes"]["held"][-1]


def test_a_drained_replica_gets_nothing_and_is_let_in_again_though_nobody_says_so(site: TwoHosts) -> None:
    """As it is left by an `up` that is killed: a timer is what remains."""
    port = "5000"
    asked = {"registry": "hosted", "place": 1, "container": CONTAINERS[0], "scheme": "http", "port": port, "seconds": 9}
    # Not those of who measures on the host itself.
    requests = f"docker logs {CONTAINERS[0]} 2>&1 | grep http.response.status | grep -c team/app"
    with looping(PULL + "\nassert client.ask('GET', '/v2/team/app/tags/list').status == 200") as told:
        report = json.loads(must(REGISTRY, f"{HOSTCTL} drain", json.dumps(asked)))
        assert (report["result"], report["left"]) == ("drained", 0)
        before = must(REGISTRY, requests)
        time.sleep(2)
        assert must(REGISTRY, requests) == before
        timer = "http-registry-replica-hosted-1"
        assert must(REGISTRY, f"systemctl is-active {timer}.timer") == "active\n"
        must(REGISTRY, f"systemctl start {timer}.service; systemctl stop {timer}.timer")
        time.sleep(7)
        assert int(must(REGISTRY, requests)) > int(before)
    assert told["lost"] == []
    assert must(REGISTRY, MARKS) == ""


def test_while_the_bucket_is_away_what_was_pulled_lately_is_pulled(
    site: TwoHosts, record_property: Callable[[str, object], None]
) -> None:
    """Its packets are thrown away, which is worse than a refusal. Pushes fail, and come through again."""
    rules = [f"{chain} -d {host('hub').address} -p tcp --dport 7070 -j DROP" for chain in ("OUTPUT", "FORWARD")]
    with under_way(record_property, "the bucket away for 15 s", {"pulls": PULL, "pushes": PUSH}) as told:
        told["began"] = time.time()
        try:
            must(REGISTRY, "\n".join(f"iptables -w -I {each}" for each in rules))
            time.sleep(15)
        finally:
            must(REGISTRY, "\n".join(f"iptables -w -D {each}" for each in rules))
        back = time.time()
        time.sleep(5)
    assert told["pulls"]["lost"] == []
    assert [each for each in told["pushes"]["done"] if each > back]
