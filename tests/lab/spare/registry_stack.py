"""A small registry of a test's own on one host, which another may use, and images in it that run a web server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.services import PUSH_PORT
from ops.proof import PROXY_LOG
from tests.checkout import Checkout, on_the_lab
from tests.lab.hosts import must, without_records
from tests.lab.spare.site import ADDRESS, CACHE, PAIR, REGISTRY, RUNTIME, SITE

STACK = "apps"
PREFIX = ADDRESS
"""What image references begin with."""
MIRROR = f"{PREFIX}:5080"
HTTP_PORT = 8080
CLIENT = (Path(__file__).parents[2] / "registry_client.py").read_text()
SETTINGS: dict[str, Any] = {
    **SITE,
    "registries": [
        {"kind": "hosted", "name": "hosted", "host": REGISTRY, "keep_data": False},
        CACHE,
    ],
    "proxy": {
        "host": REGISTRY,
        "endpoints": [
            {"registry": "hosted", "port": 80, "server_name": PREFIX},
            {"registry": "hub-cache", "port": 5080, "server_name": PREFIX, "login": True},
        ],
        "users": [{"name": "pusher", "role": "push"}, {"name": "puller", "role": "pull"}],
    },
    # So the runtime knows that the registry speaks HTTP; its mirror asks for a login.
    "runtimes": [{"host": RUNTIME, "docker": {"logins": [{"registry": MIRROR, "user": "puller"}]}}],
}


@dataclass
class Registry:
    """The stack when it is up."""

    checkout: Checkout
    passwords: dict[str, str] = field(default_factory=dict, repr=False)

    def configure(self, **changed: Any) -> None:
        """The settings, some of them others; secrets stay."""
        whole = yaml.safe_load(self.checkout.read(STACK))
        secrets = {key: each for key, each in whole.get("config", {}).items() if "secure" in each}
        plain = {f"http-registry:{key}": each for key, each in {**SETTINGS, **changed}.items()}
        self.checkout.write(STACK, yaml.safe_dump({**whole, "config": {**plain, **secrets}}))

    def set_password(self, user: str, password: str) -> None:
        self.passwords[user] = password
        self.checkout.secret(STACK, f"password-{user}", password)

    def up(self) -> str:
        return self.checkout.make("up", STACK=STACK)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs as `pulumi stack output --json --show-secrets` prints them."""
        found: dict[str, Any] = json.loads(
            self.checkout.pulumi("stack", "output", "--json", "--show-secrets", "--stack", STACK)
        )
        return found

    def push(self, repository: str, tag: str) -> None:
        """Push, as pusher, the hub's library/app with a web server as its command; another image for each tag."""
        login = f"pusher:{self.passwords['pusher']}"
        must("hub", "python3 -", f"{CLIENT}\n{PUSH}\npush({login!r}, {repository!r}, {tag!r})\n")

    def log(self) -> list[dict[str, str]]:
        """What the proxy has logged."""
        return [json.loads(line) for line in must(REGISTRY, f"cat {PROXY_LOG}").splitlines()]


PUSH = f"""
from base64 import b64encode

def push(login, repository, tag):
    source = Client("http://127.0.0.1:{PUSH_PORT}")
    target = Client("http://{PREFIX}", {{"Authorization": "Basic " + b64encode(login.encode()).decode()}})
    accept = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = source.ask("GET", "/v2/library/app/manifests/1", Accept=accept).data
    blob = lambda each: source.ask("GET", "/v2/library/app/blobs/" + each["digest"]).body
    config = json.loads(blob(manifest["config"]))
    config["config"]["Cmd"] = ["httpd", "-f", "-p", "{HTTP_PORT}", "-h", "/"]
    config["config"]["Labels"] = {{"tag": tag}}
    parts = {{"config": json.dumps(config).encode(), "layer": blob(manifest["layers"][0])}}
    for each in parts.values():
        target.upload(repository, each)
    manifest["config"].update(size=len(parts["config"]), digest=digest(parts["config"]))
    answer = target.put(repository, tag, json.dumps(manifest).encode())
    assert answer.status == 201, answer.body
"""


@contextmanager
def registry_stack(folder: Path, **changed: Any) -> Iterator[Registry]:
    """Bring it up; afterwards both hosts are as they were before. `changed`: settings that are others."""
    before = {name: without_records(name) for name in PAIR}
    with on_the_lab(folder) as checkout:
        registry = Registry(checkout)
        checkout.write(STACK, "config: {}\n")
        checkout.pulumi("stack", "init", STACK)
        registry.configure(**changed)
        for user in ("pusher", "puller"):
            registry.set_password(user, f"first-of-{user}")
        try:
            registry.up()
            yield registry
        finally:
            checkout.make("destroy", STACK=STACK)
    assert {name: without_records(name) for name in before} == before
