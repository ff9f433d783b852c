"""Decides that each resource of the program is on exactly one host by its name, and that `--target` finds it there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from settings.resource_names import SETTLED, is_on, targets
from tests.checkout import checkout

pytestmark = pytest.mark.engine

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0p5oS4XuXrY2rJ0l8w7lGJk2m3y8nq1hXQvE9dTtWc"
HOSTS = ("a", "a-docker", "b")
"""One's name begins like another's, and goes on like what is on it."""
SETTINGS = {
    "hosts": [
        {"name": name, "address": f"10.20.0.{number}", "ssh": {"host_key": KEY}} for number, name in enumerate(HOSTS)
    ],
    "registries": [
        {"kind": "hosted", "name": "hosted", "host": "a", "garbage_collection": {"schedule": "daily"}},
        {"kind": "hosted", "name": "docker", "host": "a-docker"},
        {"kind": "cache", "name": "hub", "host": "a", "serves": "docker.io", "upstream": "https://hub.example"},
        {"kind": "cache", "name": "quay", "host": "a-docker", "serves": "quay.io", "upstream": "https://quay.example"},
    ],
    "proxy": {
        "host": "a",
        "endpoints": [
            {"registry": "hosted", "port": 80, "server_name": "registry.example"},
            {"registry": "hub", "port": 5080, "server_name": "registry.example"},
        ],
        "users": [{"name": "pusher", "role": "push"}],
    },
    "runtimes": [
        {"host": "a-docker", "docker": {}, "containerd": {}},
        {"host": "b", "docker": {}, "buildkit": {}, "cli": [{"user": "root", "logins": [
            {"registry": "registry.example", "user": "pusher"}]}]},
    ],
    "metrics": {"prometheus": {"host": "b"}},
    "offline_sync": {"host": "a", "into": [{"registry": "docker.io", "to": "hosted", "user": "pusher"}]},
    "firewall": {"allow": ["10.20.0.0/16"]},
}  # fmt: skip


PULLED, LOADED = {"reference": "registry:3.1.2"}, {"reference": "registry:3", "archive": ".work/lab/registry.tar"}


@pytest.mark.parametrize("image", [PULLED, LOADED], ids=["pulled", "loaded"])
def test_each_resource_is_on_one_host(tmp_path: Path, image: dict[str, str]) -> None:
    made = checkout(tmp_path)
    settings = {**SETTINGS, "image": image}
    made.write("dev", yaml.safe_dump({"config": {f"http-registry:{key}": each for key, each in settings.items()}}))
    made.pulumi("stack", "init", "dev", "--no-select")
    made.secret("dev", "password-pusher", "of-a-pusher")
    text = made.pulumi("preview", "--json", "--stack", "dev")
    steps = json.loads(text[text.index("{") :])["steps"]
    urns = [each["urn"] for each in steps if "::pulumi:pulumi:Stack::" not in each["urn"]]
    urns = [urn for urn in urns if "::default_" not in urn]
    assert len(urns) > 30
    for urn in urns:
        kind, name = urn.split("::")[2].rpartition("$")[2], urn.rpartition("::")[2]
        named = [host for host in HOSTS if is_on(kind, name, host)]
        targeted = [host for host in HOSTS if any(re.fullmatch(pattern(each), urn) for each in targets(host))]
        assert len(named) == 1, urn
        assert targeted == ([] if name.endswith(SETTLED) else named), urn


def pattern(target: str) -> str:
    """How pulumi reads a target (pkg/resource/deploy/deployment.go, UrnTargets)."""
    return ".*".join(re.escape(part) for part in target.split("**"))
