"""A site that is only on paper: what the program asks of its three hosts, and what is rendered of that."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ops.render_files import Rendered, render
from ops.render_machine import machine
from ops.stack import PROJECT

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0p5oS4XuXrY2rJ0l8w7lGJk2m3y8nq1hXQvE9dTtWc"
PASSWORD = "of-the-pusher-and-of-nobody-else"
HOSTS = {"site": "10.20.0.10", "docker": "10.20.0.21", "containerd": "10.20.0.22"}
SETTINGS: dict[str, Any] = {
    "hosts": [{"name": name, "address": at, "ssh": {"host_key": KEY}} for name, at in HOSTS.items()],
    "image": {"reference": "registry:3.1.2"},
    "registries": [
        {"kind": "hosted", "name": "hosted", "host": "site", "garbage_collection": {"schedule": "Sun 03:00"}},
        {"kind": "cache", "name": "hub-cache", "host": "site", "serves": "docker.io", "upstream": "http://10.20.0.9"},
    ],
    "proxy": {
        "host": "site",
        "endpoints": [
            {"registry": "hosted", "port": 80, "server_name": "10.20.0.10"},
            {"registry": "hub-cache", "port": 5080, "server_name": "10.20.0.10"},
        ],
        "users": [{"name": "pusher", "role": "push"}],
        "bcrypt_cost": 4,
    },
    "runtimes": [
        {
            "host": "docker",
            "docker": {"max_concurrent_downloads": 6},
            "cli": [{"user": "ci", "logins": [{"registry": "10.20.0.10", "user": "pusher"}]}],
        },
        {"host": "containerd", "containerd": {"max_concurrent_downloads": 6}},
    ],
    "firewall": {"allow": ["10.20.0.0/16"]},
}
SECRETS = {
    "http-registry:password-pusher": PASSWORD,
    "http-registry:ssh-key": Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    .decode(),
}


def run(config: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The program, without an engine, with that configuration."""
    secrets = [key for key in config if key in SECRETS]
    given = {"project": "http-registry", "stack": "paper", "config": config, "secrets": secrets, "references": {}}
    command = [sys.executable, "-m", "components.requests"]
    return subprocess.run(command, cwd=PROJECT, input=json.dumps(given), capture_output=True, text=True, check=False)


@cache
def asked() -> dict[str, Any]:
    """What the program asks of the hosts."""
    config = {f"http-registry:{key}": json.dumps(value) for key, value in SETTINGS.items()}
    done = run({**config, **SECRETS})
    assert not done.stderr
    assert done.returncode == 0
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def of(host: str) -> list[dict[str, Any]]:
    """What it asks of one."""
    return [each for each in asked()["requests"] if each["owner"] == f"http-registry/paper/{host}"]


def rendered(host: str, work: Path, on: str = "", base: Path | None = None) -> Rendered:
    """What is rendered for it. `work`: a folder that is made."""
    work.mkdir()
    return render(of(host), machine(on), work, base)
