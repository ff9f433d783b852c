"""Decides what another stack reads of the outputs by StackReference, with the real engine and its state; no host.

The registry's stack is the program's own settings and outputs, without its resources.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml

from registry_outputs.contract import SECRET, VERSION, Outputs
from tests.certificates import authority, server
from tests.checkout import REAL, Checkout, checkout
from tests.outputs_alone import PROGRAM, only_outputs

pytestmark = pytest.mark.engine

PASSWORD = "geheimes-Wort"
READS = f"""
import sys

sys.path.insert(0, {str(REAL)!r})

import dataclasses

import pulumi

from registry_outputs.reader import RegistryOutputs

registry = RegistryOutputs.of(pulumi.StackReference(pulumi.Config().require("stack")))
for field in dataclasses.fields(registry):
    pulumi.export(field.name, getattr(registry, field.name))
pulumi.export("image", registry.image("team/app:1"))
pulumi.export("login", registry.pull_credentials.apply(lambda found: found and found["password"]))
"""
TLS = {"certificate": "stacks/server.pem", "key": "own"}
SETTINGS: dict[str, Any] = {
    "hosts": [{"name": "h", "address": "10.0.0.1", "ssh": {"host_key": "ssh-ed25519 AAAA"}}],
    "image": {"reference": "registry:3.1.2"},
    "firewall": {"allow": ["10.0.0.0/8"]},
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
}
PROXY: dict[str, Any] = {
    "proxy": {
        "host": "h",
        "endpoints": [
            {"registry": "own", "port": 443, "server_name": "registry.test", "tls": TLS},
            {"registry": "hub", "port": 5443, "server_name": "registry.test", "tls": TLS, "login": True},
        ],
        "users": [{"name": "ann", "role": "push"}, {"name": "ben", "role": "pull"}],
    },
    "authorities": [{"name": "own", "certificate": "stacks/own.pem", "registries": ["registry.test"]}],
}


@dataclass(frozen=True)
class Pair:
    """Two projects over one backend: the registry's, and one that reads its outputs."""

    registry: Checkout
    application: Checkout

    def export(self, more: dict[str, Any]) -> None:
        """Bring the registry's stack up with these settings."""
        self.configure(more)
        self.registry.pulumi("up", "--yes", "--skip-preview", "--stack", "dev")

    def configure(self, more: dict[str, Any]) -> None:
        settings = {f"http-registry:{key}": each for key, each in {**SETTINGS, **more}.items()}
        kept = yaml.safe_load(self.registry.read("dev"))
        secrets = {key: each for key, each in kept.get("config", {}).items() if isinstance(each, dict)}
        kept["config"] = {**settings, **{key: each for key, each in secrets.items() if "secure" in each}}
        self.registry.write("dev", yaml.safe_dump(kept))

    def read(self, status: int = 0) -> str:
        return self.application.pulumi("up", "--yes", "--skip-preview", "--stack", "app", status=status)

    def has_read(self) -> dict[str, Any]:
        """The application's outputs in clear; they are those that it has read, and two more."""
        found: dict[str, Any] = json.loads(
            self.application.pulumi("stack", "output", "--json", "--show-secrets", "--stack", "app")
        )
        return found

    def states(self) -> str:
        """Everything that both stacks keep."""
        folder = self.registry.folder / "state"
        return "".join(each.read_text() for each in folder.rglob("*") if each.is_file())


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    own, ours = tmp_path / "registry", tmp_path / "application"
    own.mkdir()
    ours.mkdir()
    registry = checkout(own)
    only_outputs(registry)
    signer = authority()
    leaf = server("registry.test", signer)
    (own / "stacks" / "own.pem").write_text(signer.pem)
    (own / "stacks" / "server.pem").write_text(leaf.pem)
    registry.write("dev", "config: {}\n")
    registry.pulumi("stack", "init", "dev")
    for key, value in {"password-ann": "anns", "password-ben": PASSWORD, "tls-key-own": leaf.private}.items():
        registry.secret("dev", key, value)
    (ours / "Pulumi.yaml").write_text("name: application\nruntime: python\n")
    (ours / "__main__.py").write_text(READS)
    application = Checkout(ours, registry.environment)
    application.pulumi("stack", "init", "app")
    application.pulumi("config", "set", "stack", "organization/http-registry/dev", "--stack", "app")
    return Pair(registry, application)


def test_another_stack_reads_them_typed_and_secrets_stay_secret(pair: Pair) -> None:
    assert "exports no outputs_version" in pair.read(status=1)
    pair.export(PROXY)
    pair.read()
    found = pair.has_read()
    assert {name for name in found if name in get_type_hints(Outputs)} == get_type_hints(Outputs).keys() - {
        "metrics_endpoint"
    }
    assert (found["image"], found["login"]) == ("registry.test/team/app:1", PASSWORD)
    assert found["ca_certificate"] == (pair.registry.folder / "stacks" / "own.pem").read_text()
    assert list(json.loads(found["dockerconfigjson"])["auths"]) == ["registry.test", "registry.test:5443"]
    shown = json.loads(pair.application.pulumi("stack", "output", "--json", "--stack", "app"))
    assert {name for name, each in shown.items() if each == "[secret]"} == SECRET | {"login"}
    assert PASSWORD not in pair.states()
    assert json.loads(pair.registry.pulumi("stack", "output", "outputs_version", "--stack", "dev")) == VERSION


def test_what_is_null_is_read_as_none(pair: Pair) -> None:
    pair.export({})
    pair.read()
    found = pair.has_read()
    assert found.keys() - {"outputs_version"} == {
        "endpoint", "endpoints", "mirrors", "pull_prefix", "dockerconfigjson", "image",
    }  # fmt: skip


def test_an_output_that_has_changed_stops_the_application(pair: Pair) -> None:
    pair.export({})
    program = pair.registry.folder / "__main__.py"
    program.write_text(f"{PROGRAM}\nimport pulumi\npulumi.export('mirrors', ['http://10.0.0.1:5001'])\n")
    pair.export({})
    said = pair.read(status=1)
    assert "stack organization/http-registry/dev: output mirrors is wrong" in said
    assert "expected: dict[str, str]" in said
    assert "Traceback" not in said
