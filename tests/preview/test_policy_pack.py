"""The policy pack, started by the engine and asked by it: a good stack passes, a broken one is refused by our sentence.

The engine starts the pack's program, which runs the SDK's own module for packs, as the official language host does.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
import yaml
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from settings import Given
from settings.tier_rules import broken
from tests.checkout import Checkout, checkout
from tests.pulumi_stack import new_stack
from toolchain.locking import locked

PROJECT = Path(__file__).parents[2]
PACK = PROJECT / "policy" / "pulumi-analyzer-http-registry"
CASE = PROJECT / "tests" / "cases" / "tier_rules" / "prod-open.yaml"
UNCHECKED = """
from pathlib import Path
from pulumi_command import local

local.Command("made", create=f"touch {Path.cwd()}/made")
"""
"""A program that has lost its own check of the settings."""

LOOSE = """
import pulumi
import pulumi_docker as docker
from pulumi_command import remote

connection = remote.ConnectionArgs(host="192.0.2.1", password="geheim")
remote.Command("loose", connection=connection, create="true")
host = docker.Provider("host", host="ssh://root@192.0.2.1", ssh_opts=["-o", "BatchMode=yes"])
opts = pulumi.ResourceOptions(provider=host)
image = docker.RemoteImage("image", name="prom/node-exporter:latest", opts=opts)
ports = [docker.ContainerPortArgs(internal=9100, external=9100)]
docker.Container("exporter", image=image.image_id, ports=ports, opts=opts)
"""
STRICT = (
    LOOSE.replace('password="geheim"', 'password="geheim", host_key="ssh-ed25519 AAAA"')
    .replace('"BatchMode=yes"', '"StrictHostKeyChecking=yes"')
    .replace(":latest", ":v1.8.2")
    .replace("external=9100", 'external=9100, ip="127.0.0.1"')
)


@pytest.fixture(scope="session")
def pack() -> Path:
    with locked(PROJECT / ".work" / "policy.lock", "the policy pack is being made ready", sys.stderr):
        subprocess.run(["make", "policy"], cwd=PROJECT, check=True)
    return PACK


@pytest.fixture
def project(tmp_path: Path) -> Checkout:
    made = checkout(tmp_path)
    made.write("dev", (PROJECT / "stacks" / "Pulumi.dev.yaml").read_text())
    made.pulumi("stack", "init", "dev")
    return made


def preview(project: Checkout, pack: Path, stack: str, status: int = 0) -> str:
    return project.pulumi("preview", "--stack", stack, "--policy-pack", str(pack), status=status)


def test_a_stack_that_keeps_the_rules_passes_and_its_secrets_stay_secret(project: Checkout, pack: Path) -> None:
    project.secret("dev", "password-ann", "geheim")
    shown = preview(project, pack, "dev")
    assert "19 to create" in shown
    assert "✅ http-registry@v0.1.0" in shown
    assert "Policy Violations" not in shown
    assert "can't run policy" not in shown
    assert "geheim" not in shown


def test_what_the_program_lets_through_the_pack_refuses(project: Checkout, pack: Path) -> None:
    case = yaml.safe_load(CASE.read_text())
    settings = {f"http-registry:{key}": each for key, each in case["settings"].items()}
    (project.folder / "__main__.py").unlink()
    (project.folder / "__main__.py").write_text(UNCHECKED)
    project.pulumi("stack", "init", case["stack"])
    project.write(case["stack"], yaml.safe_dump({"config": settings}))
    shown = preview(project, pack, case["stack"], status=1)
    up = ("up", "--yes", "--skip-preview", "--stack", case["stack"], "--policy-pack", str(pack))
    assert "[mandatory]" in project.pulumi(*up, status=1)
    assert not (project.folder / "made").exists()
    for path, rest in broken(Given(case["settings"], case["stack"], case["known_hosts"])):
        assert f"{path}{rest}" in shown
    assert shown.count("[mandatory]") == len(case["errors"])


def test_the_program_refuses_the_same_without_the_pack(project: Checkout) -> None:
    case = yaml.safe_load(CASE.read_text())
    settings = {f"http-registry:{key}": each for key, each in case["settings"].items()}
    project.pulumi("stack", "init", case["stack"])
    project.write(case["stack"], yaml.safe_dump({"config": settings}))
    shown = project.pulumi("preview", "--stack", case["stack"], status=1)
    for error in case["errors"]:
        assert error in shown


def test_another_project_s_resources_are_judged_by_the_same_predicates(tmp_path: Path, pack: Path) -> None:
    stack = new_stack(tmp_path, LOOSE, secrets=("geheim",))
    shown = stack.pulumi("preview", "--policy-pack", str(pack), fails=True)
    for rule in ("connection-host-key", "docker-host-key", "container-image", "container-metrics"):
        assert rule in shown
    assert "name = 'prom/node-exporter:latest': may be another image tomorrow" in shown
    assert "ports.0 = 9100: is the port of node_exporter, and 0.0.0.0 is public" in shown


def test_an_image_that_only_an_update_will_know_is_judged_then(tmp_path: Path, pack: Path) -> None:
    stack = new_stack(tmp_path, STRICT, secrets=("geheim",))
    shown = stack.pulumi("preview", "--policy-pack", str(pack))
    assert "5 to create" in shown
    assert "can't run policy" not in shown


@contextmanager
def started(pack: Path) -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """The pack's process, asked over its own protocol."""
    with subprocess.Popen([pack, "127.0.0.1:1"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.kill()


def test_settings_that_an_engine_does_not_hand_over_are_refused(pack: Path) -> None:
    kind = "pulumi:pulumi:Stack"

    def asked(stub: Any, project: str) -> list[str]:
        request = analyzer_pb2.AnalyzeRequest(type=kind, name="s", urn=f"urn:pulumi:dev::{project}::{kind}::s")
        return [each.message for each in stub.Analyze(request).diagnostics]

    with started(pack) as stub:
        assert "does not tell policy packs" in "".join(asked(stub, "http-registry"))
        assert asked(stub, "another") == []
