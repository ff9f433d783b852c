"""Decides that what `make backup` takes comes back after the registry's host, the state and the files are lost."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.paths import work_dir
from lab.services import S3
from ops.stack import PROJECT
from tests.checkout import on_the_lab
from tests.lab.hosts import must, without_records
from tests.lab.spare.site import PAIR, REGISTRY, RUNTIME
from tests.lab.spare.two_hosts import NAME, TwoHosts, begun, client, ended, lead_to, looping, planned, push, settings

pytestmark = pytest.mark.lab

STACK, KNOWN_HOSTS = "kept", "stacks/known_hosts"
BUCKET = f"/var/lib/versitygw/{S3.bucket}/{STACK}"
IN_BUCKET = client(f"client.url = 'http://{NAME}:81'; $")
PUSHES = """
client.push("team/app", f"live-{number}", os.urandom(16), os.urandom(200000))
told["stored"].append(f"live-{number}")
"""
PULLED = """
import hashlib
tags = client.ask("GET", "/v2/team/app/tags/list").data["tags"]
print(json.dumps({tag: hashlib.sha256(client.pull("team/app", tag)).hexdigest() for tag in tags}))
"""


def files(name: str) -> list[str]:
    """What is on a host, but for what its Docker makes for itself when it is new."""
    return [line for line in without_records(name) if "/etc/docker/key.json" not in line]


def with_bucket() -> dict[str, Any]:
    """The settings with a second registry, which keeps its images in a bucket."""
    bucket = {"endpoint": S3.endpoint, "region": S3.region, "bucket": S3.bucket, "prefix": STACK}
    wanted = {**settings(), "known_hosts": KNOWN_HOSTS}
    wanted["registries"].append(
        {"kind": "hosted", "name": "bucket", "host": REGISTRY, "port": 5002, "storage": {"s3": bucket}}
    )
    wanted["proxy"]["endpoints"].append({"registry": "bucket", "port": 81, "server_name": NAME})
    return wanted


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoHosts]:
    """The stack when it is up, with an image in it; afterwards both hosts are as they were."""
    before = {name: files(name) for name in PAIR}
    (tmp_path / "checkout").mkdir()
    with on_the_lab(tmp_path / "checkout") as checkout:
        made = begun(checkout, STACK, with_bucket())
        checkout.secret(STACK, "s3-access-key-bucket", S3.access_key)
        checkout.secret(STACK, "s3-secret-key-bucket", S3.secret_key)
        shutil.copy(work_dir() / "known_hosts", checkout.folder / KNOWN_HOSTS)
        try:
            made.make("up")
            push("1")
            yield made
        finally:
            ended(made)
            must("hub", f"rm -rf {BUCKET}")
    assert {name: files(name) for name in PAIR} == before


def pulled() -> dict[str, str]:
    """The digest of every image that the registry lists, each pulled whole."""
    found: dict[str, str] = json.loads(must(RUNTIME, "python3 -", client(f"import json\n{PULLED}")))
    return found


def test_what_is_lost_with_host_and_state_comes_back(two: TwoHosts, tmp_path: Path) -> None:
    backups, stacks = tmp_path / "of-all", two.checkout.folder / "stacks"
    must(RUNTIME, "python3 -", IN_BUCKET.replace("$", "client.push('s', '1', b'config', b'layer')"))
    with looping(PUSHES) as pushed:
        first = two.make("backup", TO=str(backups))
    assert pushed["lost"] == []
    push("2", 3_000_000)
    before = pulled()
    second = two.make("backup", TO=str(backups), KEEP="1")
    new = [int(re.findall(r"hosted: .* new are \d+ blobs with (\d+) bytes", told)[0]) for told in (first, second)]
    assert 3_000_000 < new[1] < 3_000_000 + 210_000 * len(pushed["stored"])
    assert "removed 1 older backups" in second
    push("3")
    subprocess.run([PROJECT / "lab" / "reinstall", REGISTRY], check=True)
    lead_to(REGISTRY, REGISTRY)
    must("hub", f"rm -rf {BUCKET}")
    shutil.rmtree(two.checkout.folder / "state")
    (two.checkout.folder / "state").mkdir()
    for each in (f"Pulumi.{STACK}.yaml", "known_hosts"):
        (stacks / each).unlink()

    told = two.make("restore", fails=True, FROM=str(backups))
    assert f"{REGISTRY}: shows another host key than the settings have" in told
    shutil.copy(work_dir() / "known_hosts", stacks)
    told = two.make("restore", FROM=str(backups))
    assert f"{KNOWN_HOSTS}: another than the backup's is there and stays" in told
    assert f"{REGISTRY}: is empty" in told
    assert planned(two.make("up")).keys() == {"created", "unchanged"}
    assert pulled() == before
    assert must(RUNTIME, "python3 -", IN_BUCKET.replace("$", "print(bool(client.pull('s', '1')))")) == "True\n"
    again = two.make("restore", FROM=str(backups))
    assert all(f"{each}: 0 blobs and 0 links put back" in again for each in ("hosted", "bucket"))
    assert must(REGISTRY, "ls /run | grep http-registry-gc; true") == ""
    push("4")
