"""Decides that an edge's caches take upstream, login and authority from the core's outputs, with the real engine and
its state; no host. A core that can't tell them is one clear error, in a preview too.

The core's stack is the program's own settings and outputs, without its resources.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from ops.deployment import references
from settings import parse
from settings.registries import CacheRegistry
from settings.upstream_stack import resolved
from tests.certificates import authority, server
from tests.checkout import Checkout, checkout
from tests.outputs_alone import only_outputs

pytestmark = pytest.mark.engine

PASSWORD = "geheimes-Wort"
HOST = {"name": "h", "address": "10.0.0.1", "ssh": {"host_key": "ssh-ed25519 AAAA"}}
COMMON: dict[str, Any] = {
    "hosts": [HOST],
    "image": {"reference": "registry:3.1.2"},
    "firewall": {"allow": ["10.0.0.0/8"]},
}
TLS = {"certificate": "stacks/server.pem", "key": "own"}
CORE: dict[str, Any] = {
    **COMMON,
    "tier": "core",
    "registries": [
        {"kind": "hosted", "name": "own", "host": "h"},
        {
            "kind": "cache",
            "name": "hub",
            "host": "h",
            "serves": "docker.io",
            "upstream": "https://registry-1.docker.io",
        },
    ],
    "proxy": {
        "host": "h",
        "endpoints": [
            {"registry": "own", "port": 443, "server_name": "core.test", "tls": TLS},
            {"registry": "hub", "port": 5443, "server_name": "core.test", "tls": TLS},
        ],
        "users": [{"name": "ann", "role": "push"}, {"name": "edges", "role": "pull"}],
    },
    "authorities": [{"name": "own", "certificate": "stacks/own.pem", "registries": ["core.test", "core.test:5443"]}],
}
EDGE: dict[str, Any] = {
    **COMMON,
    "tier": "edge",
    "registries": [
        {"kind": "cache", "name": "ours", "host": "h", "serves": "core.test", "upstream_stack": "core"},
        {"kind": "cache", "name": "hub", "host": "h", "serves": "docker.io", "upstream_stack": "core"},
    ],
    "proxy": {
        "host": "h",
        "endpoints": [
            {"registry": "ours", "port": 80, "server_name": "edge.test", "login": True},
            {"registry": "hub", "port": 5080, "server_name": "edge.test"},
        ],
        "users": [{"name": "ben", "role": "pull"}],
    },
}


@dataclass(frozen=True)
class Layers:
    """Two checkouts over one backend."""

    core: Checkout
    edge: Checkout

    def preview(self, status: int = 0, **changed: Any) -> str:
        """The edge's, with these settings."""
        write(self.edge, "edge", {**EDGE, **changed})
        return self.edge.pulumi("preview", "--diff", "--stack", "edge", status=status)


def write(checkout: Checkout, stack: str, settings: dict[str, Any]) -> None:
    """Other settings; secrets stay."""
    kept = yaml.safe_load(checkout.read(stack))
    secrets = {key: each for key, each in kept.get("config", {}).items() if isinstance(each, dict) and "secure" in each}
    kept["config"] = {**{f"http-registry:{key}": each for key, each in settings.items()}, **secrets}
    checkout.write(stack, yaml.safe_dump(kept))


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Layers:
    """The core is up."""
    folder = tmp_path_factory.mktemp("layers")
    here, there = folder / "core", folder / "edge"
    here.mkdir()
    there.mkdir()
    core = checkout(here)
    only_outputs(core)
    signer = authority()
    leaf = server("core.test", signer)
    (here / "stacks" / "own.pem").write_text(signer.pem)
    (here / "stacks" / "server.pem").write_text(leaf.pem)
    edge = Checkout(checkout(there).folder, core.environment)
    secrets = {"password-ann": "anns", "password-edges": PASSWORD, "tls-key-own": leaf.private}
    for mine, stack, known in ((core, "core", secrets), (edge, "edge", {"password-ben": "bens"})):
        mine.write(stack, "config: {}\n")
        mine.pulumi("stack", "init", stack)
        for key, value in known.items():
            mine.secret(stack, key, value)
    write(core, "core", CORE)
    core.pulumi("up", "--yes", "--skip-preview", "--stack", "core")
    return Layers(core, edge)


def test_a_core_that_is_not_there_or_lacks_something_is_told(layers: Layers) -> None:
    ours, hub = EDGE["registries"]
    assert 'unknown stack "coer"' in layers.preview(status=1, registries=[{**ours, "upstream_stack": "coer"}, hub])
    proxy = copy.deepcopy(EDGE["proxy"])
    del proxy["endpoints"][0]["login"]
    text = layers.preview(status=1, registries=[ours, {**hub, "serves": "quay.io"}], proxy=proxy)
    assert "settings: 2 errors, nothing was touched" in text
    assert "no mirror of it and no registry of that name; take one that it has: core.test, docker.io" in text
    assert "registries.0.upstream_stack = 'core': core.test there asks who pulls" in text
    assert PASSWORD not in text
    assert "Traceback" not in text


def test_the_core_s_outputs_say_where_as_whom_and_who_has_signed(layers: Layers) -> None:
    """The login goes to the server that asks for one, and stands nowhere in clear. Commands find it in the state."""
    text = layers.preview()
    hub, _, ours = text.partition("            hub : {")[2].partition("            ours: {")
    signed = (layers.core.folder / "stacks" / "own.pem").read_text().splitlines()[1]
    for entry, url, user in ((hub, "https://core.test:5443", False), (ours, "https://core.test", True)):
        assert f'[0]: "{url}"' in entry
        assert ('user    : "edges"' in entry) is user
        assert signed in entry
    assert PASSWORD not in text
    only_outputs(layers.edge)
    layers.edge.pulumi("up", "--yes", "--skip-preview", "--stack", "edge")
    state = (layers.core.folder / "state" / ".pulumi" / "stacks" / "http-registry" / "edge.json").read_text()
    assert "pulumi:pulumi:StackReference" in state
    assert PASSWORD not in state
    shown = json.loads(layers.edge.pulumi("stack", "export", "--show-secrets", "--stack", "edge"))
    tier = resolved(parse(EDGE), references(shown["deployment"])).tier
    assert [(each.upstream, each.upstream_user) for each in tier.registries if isinstance(each, CacheRegistry)] == [
        ("https://core.test", "edges"),
        ("https://core.test:5443", None),
    ]
