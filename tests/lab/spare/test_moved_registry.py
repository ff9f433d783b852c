"""Decides what docs/day-two.md says of a registry that moves to another host: no pushed image and no pull is lost."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from documents.nginx_hosted import RETRY_AFTER
from lab.services import S3
from tests.checkout import on_the_lab
from tests.lab.hosts import must, without_records
from tests.lab.spare.site import PAIR, REGISTRY, RUNTIME
from tests.lab.spare.two_hosts import (
    NAME,
    TwoHosts,
    begun,
    client,
    ended,
    lead_to,
    looping,
    planned,
    pulling,
    pulls,
    push,
    settings,
)

pytestmark = pytest.mark.lab

PREFIX = "day-two"
BUCKET = f"/var/lib/versitygw/{S3.bucket}/{PREFIX}"
PUSHES = """
try:
    client.push("team/app", f"live-{number}", os.urandom(16), os.urandom(20000))
    told["stored"].append(f"live-{number}")
except AssertionError as why:
    if "503" not in str(why):
        raise
    told["held"].append(time.time())
"""


def with_bucket(host: str) -> dict[str, Any]:
    """The settings with the registries and the proxy on that host; one keeps its images in a bucket."""
    wanted = settings()
    bucket = {"endpoint": S3.endpoint, "region": S3.region, "bucket": S3.bucket, "prefix": PREFIX}
    wanted["registries"].append({"kind": "hosted", "name": "bucket", "port": 5002, "storage": {"s3": bucket}})
    wanted["registries"][0]["garbage_collection"] = {"schedule": "*-01-01 03:30"}
    for each in wanted["registries"]:
        each["host"] = host
    wanted["proxy"]["host"] = host
    wanted["proxy"]["endpoints"].append({"registry": "bucket", "port": 81, "server_name": NAME})
    return wanted


@pytest.fixture
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHosts]:
    """The stack when it is up; afterwards both hosts are as they were."""
    before = {name: without_records(name) for name in PAIR}
    with on_the_lab(tmp_path_factory.mktemp("moved")) as checkout:
        made = begun(checkout, "moved", with_bucket(REGISTRY))
        checkout.secret("moved", "s3-access-key-bucket", S3.access_key)
        checkout.secret("moved", "s3-secret-key-bucket", S3.secret_key)
        try:
            made.make("up")
            yield made
        finally:
            ended(made)
            must("hub", f"rm -rf {BUCKET}")
    assert {name: without_records(name) for name in PAIR} == before


def test_a_registry_moves_while_it_is_pulled_from_and_pushed_to(two: TwoHosts) -> None:
    push("1", 2_000_000)
    must(RUNTIME, "python3 -", client(f"client.url = 'http://{NAME}:81'; client.push('s', '1', b'c', b'layer')"))
    config = must(RUNTIME, "cat /etc/docker/daemon.json; systemctl show --property MainPID docker")
    assert "nothing is to be copied" in two.make("move", REGISTRY="bucket", TO=RUNTIME)
    with looping(PUSHES) as pushed, pulling("1") as pulled:
        two.make("move", REGISTRY="hosted", TO=RUNTIME)
        assert "let in again" in two.make("move", REGISTRY="hosted", BACK="--back")
        time.sleep(RETRY_AFTER + 0.5)
        told = two.make("move", REGISTRY="hosted", TO=RUNTIME)
        two.write(with_bucket(RUNTIME))
        assert "delete" not in planned(two.make("up", HOST=RUNTIME))
        assert "is there by the settings" in two.make("move", fails=True, REGISTRY="hosted", TO=RUNTIME)
        two.write(with_bucket(REGISTRY))
        assert "it would lose what it has" in two.make("move", fails=True, REGISTRY="hosted", TO=RUNTIME)
        two.write(with_bucket(RUNTIME))
        lead_to(RUNTIME)
        time.sleep(0.5)
        two.make("up")
        time.sleep(0.5)
    assert not re.search(rf"^{REGISTRY} -> {RUNTIME}: 0 files(?s:.*){REGISTRY} -> {RUNTIME}", told, re.MULTILINE), (
        "nobody was let in"
    )
    assert len(pulled["pulls"]) > 20
    assert pulled["lost"] == []
    assert pushed["lost"] == []
    assert pushed["held"]
    assert pulls("1", *pushed["stored"])
    in_bucket = client(f"client.url = 'http://{NAME}:81'; print(bool(client.pull('s', '1')))")
    assert must(RUNTIME, "python3 -", in_bucket) == "True\n"
    assert must(RUNTIME, "cat /etc/docker/daemon.json; systemctl show --property MainPID docker") == config
    assert planned(two.make("preview")).keys() == {"unchanged"}
    # The images are for the old host's admin to remove; no gate stays closed there.
    left = must(REGISTRY, "docker ps --all --quiet; docker volume ls --quiet; ls /run | grep http-registry; true")
    assert left == "http-registry-hosted\n"
