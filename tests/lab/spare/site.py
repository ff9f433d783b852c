"""The spare hosts that this process of pytest has, a pair and a third one, as settings have them; and a tier's file
with the pair in place of its own hosts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lab import host
from lab.hosts import SSH_PORT
from lab.services import HUB_URL, S3

PAIRS = {"gw0": ("spare1", "spare2"), "gw1": ("spare3", "spare4")}
"""By the worker of pytest-xdist: each has a pair to itself, so two stacks are up side by side."""
PAIR = PAIRS[os.environ.get("PYTEST_XDIST_WORKER", "gw0")]
"""Without xdist the first one."""
REGISTRY, RUNTIME = PAIR
"""The host that has a stack's registries, and the one whose Docker pulls there."""
THIRDS = {"gw0": "spare5", "gw1": "spare6"}
THIRD = THIRDS[os.environ.get("PYTEST_XDIST_WORKER", "gw0")]
"""A host more, for what takes three."""
FLOATING = {"spare5": "192.168.1.135", "spare6": "192.168.1.136"}[THIRD]
"""An address of the lab's network that no host has: for what moves between hosts."""
ADDRESS = host(REGISTRY).address


def as_setting(name: str) -> dict[str, Any]:
    """A host of the lab as an entry of the settings' `hosts`."""
    return {"name": name, "address": host(name).address, "ssh": {"host": host(name).ssh_address, "port": SSH_PORT}}


SITE: dict[str, Any] = {
    "known_hosts": ".work/lab/known_hosts",
    "hosts": [as_setting(name) for name in PAIR],
    "image": {"reference": "registry:3", "archive": ".work/lab/registry.tar"},
    "firewall": {"allow": ["192.168.1.0/24"]},
}
"""Settings that each stack of a test on both hosts has in common."""
CACHE = {"kind": "cache", "name": "hub-cache", "host": REGISTRY, "serves": "docker.io", "upstream": HUB_URL}
"""The cache of the lab's hub, as such a stack has it."""
PREFIX = "tiers"
"""The folder in the lab's bucket."""
BUCKET = f"/var/lib/versitygw/{S3.bucket}/{PREFIX}"
"""Where the hub's object store has it."""


def on_the_spares(
    text: str, spares: Sequence[str] = PAIR, more: Mapping[str, str] | None = None, prefix: str = PREFIX
) -> str:
    """Replaced is what is a site's own: where hosts are and how they are logged in to, who reaches them, which bucket,
    which registry is behind the cache, and where the registry's image comes from.

    `spares`: the hosts that stand for the file's, in its order. `more`: other addresses in it, each with the spare host
    that stands for it; it is let in, too. `prefix`: the folder in the bucket.
    """
    config: dict[str, Any] = yaml.safe_load(text)["config"]
    settings = {key.partition(":")[2]: value for key, value in config.items()}
    addresses = {address: host(spare).address for address, spare in (more or {}).items()}
    for each, spare in zip(settings["hosts"], spares, strict=False):
        addresses[each["address"]] = host(spare).address
        each["ssh"] = {"host": host(spare).ssh_address, "port": SSH_PORT}
    settings |= {"known_hosts": SITE["known_hosts"], "image": SITE["image"]}
    settings["firewall"]["allow"] = [
        f"{host(spare).address}/32" for spare in dict.fromkeys([*spares, *(more or {}).values()])
    ]
    for each in settings["registries"]:
        if "upstream" in each:
            each["upstream"] = HUB_URL
        if s3 := each.get("storage", {}).get("s3"):
            s3 |= {"endpoint": S3.endpoint, "region": S3.region, "bucket": S3.bucket, "prefix": prefix}
    whole = json.dumps({"config": {f"http-registry:{key}": value for key, value in settings.items()}})
    for address, spare_address in addresses.items():
        whole = whole.replace(address, spare_address)
    return yaml.safe_dump(json.loads(whole), sort_keys=False)
