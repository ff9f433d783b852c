"""What a soak runs on, and what goes on there: a stack on two spare hosts of the lab, its clients, its changes."""

from __future__ import annotations

import copy
import textwrap
from typing import Any

from lab.services import S3
from tests.lab.spare import two_hosts
from tests.lab.spare.site import CACHE, REGISTRY, RUNTIME, SITE
from tests.lab.spare.two_hosts import NAME

STACK = "soak"
PREFIX = f"soak-{REGISTRY}"
KEPT = f"/var/lib/versitygw/{S3.bucket}/{PREFIX}"
"""Where the hub has the registry's images."""
STORE = {"endpoint": S3.endpoint, "region": S3.region, "bucket": S3.bucket, "prefix": PREFIX}
SECRETS = {
    "s3-access-key-hosted": S3.access_key,
    "s3-secret-key-hosted": S3.secret_key,
    "http-secret-hosted": "of-both",
}
LAYER = 200_000
HELD_AT_MOST = 60
"""Seconds in which a push is tried again that a clean-up holds off."""
SETTINGS: dict[str, Any] = {
    **SITE,
    "registries": [
        {
            "kind": "hosted",
            "name": "hosted",
            "host": REGISTRY,
            "replica_ports": [5010],
            "storage": {"s3": {**STORE, "verify": True}},
            "garbage_collection": {"schedule": "yearly", "spare": "60s", "untagged": True},
        },
        CACHE,
    ],
    "proxy": {**two_hosts.SETTINGS["proxy"], "cache": {"size": "4g"}},
    "runtimes": [{"host": RUNTIME, "docker": {"max_concurrent_downloads": 6}, "containerd": {}}],
    "metrics": {"pull_ends": "5s"},
}
PUSHES = f"""
layer, config = os.urandom({LAYER}), os.urandom(16)
manifest = image(config, [layer])
moved = os.urandom({LAYER})
for attempt in range({HELD_AT_MOST}):
    try:
        client.push("team/pushed", f"t{{number}}", config, layer)
        if number % 10 == 0:
            client.push("team/moving", "latest", os.urandom(16), moved)  # what it was before is garbage now
        break
    except AssertionError as held:
        if "push again soon" not in str(held) or attempt == {HELD_AT_MOST} - 1:
            raise
        told["held"].append(number)
        time.sleep(1)
told["pushed"].append(digest(manifest))
time.sleep(0.5)
"""
PULLS = f"""
assert client.pull("team/app", "1")
mirror = Client("http://{NAME}:5080")
assert mirror.pull("library/app", "1")
told["pulls"].append(1)
if number % 20 == 0:
    assert mirror.pull("library/big", "1")
    told["big"].append(1)
time.sleep(0.1)
"""
RUNTIMES = """
import subprocess
for command in (
    "docker pull -q library/app:1", "docker rmi library/app:1",
    "crictl pull docker.io/library/app:1", "crictl rmi docker.io/library/app:1",
):
    done = subprocess.run(command.split(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stdout[-300:]!r}"
told["runtimes"].append(1)
time.sleep(1)
"""
LOOPS = {"pushes": PUSHES, "pulls": PULLS, "runtimes": RUNTIMES}
CHECK = """
import json, sys
lost = []
for each in json.load(open("$file")):
    try:
        assert client.pull("team/pushed", each), "is not there"
    except AssertionError as why:
        lost.append(f"{each}: {why}")
print(json.dumps(lost))
"""
"""Every image by its digest: its manifest, config and layer are hashed."""


def settings(turn: int) -> dict[str, Any]:
    """Those of a turn: one of them changes at each, and later goes back."""
    found = copy.deepcopy(SETTINGS)
    size, downloads, verify = turn % 6 in (1, 2, 3), turn % 6 in (2, 3, 4), turn % 6 in (3, 4, 5)
    found["proxy"]["cache"]["size"] = "5g" if size else "4g"
    found["runtimes"][0]["docker"]["max_concurrent_downloads"] = 7 if downloads else 6
    found["registries"][0]["storage"]["s3"]["verify"] = not verify
    return found


def changes(turn: int) -> str:
    """What the settings of a turn make happen."""
    return ("nginx reloads", "dockerd reloads", "the registry's containers are replaced")[(turn - 1) % 3]


def indented(script: str) -> str:
    """As `looping` takes it."""
    return textwrap.dedent(script).strip("\n")
