"""Decides, on the spare hosts, that programs of others bring a host up, change it, and give it back: by YAML, and in
Python by the generated SDK.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import host, ssh
from lab.hosts import SSH_PORT
from lab.paths import work_dir
from lab.services import HUB_URL
from ops import ssh_agent
from tests.checkout import Checkout
from tests.lab.hosts import must, without_records
from tests.lab.spare.site import REGISTRY, RUNTIME
from tests.other_programs import STACK, example

pytestmark = pytest.mark.lab

GUARDED = "iptables -w -t mangle -S | grep 192.168.1.0/24 || true"
"""The rules for the network that the examples let in."""


def mirrors(name: str) -> list[str]:
    """What the host's Docker says."""
    told: dict[str, Any] = json.loads(must(name, "docker info --format '{{json .RegistryConfig}}'"))
    return list(told["Mirrors"] or [])


@contextmanager
def declared(folder: Path, name: str, on: str) -> Iterator[Checkout]:
    """An example whose host is a spare one, brought up; afterwards the host is as it was."""
    there = host(on)
    config = {
        "address": there.address,
        "hostKey": " ".join(ssh.host_key_file(there).read_text().split()[:2]),
        "sshHost": there.ssh_address,
        "sshPort": str(SSH_PORT),
        "mirror": HUB_URL,
    }
    before = without_records(on)
    with ssh_agent.holding(work_dir() / "id_ed25519") as agent:
        program = example(folder, name, config, agent)
        try:
            up(program)
            yield program
        finally:
            program.pulumi("destroy", "--yes", "--skip-preview", "--stack", STACK)
    assert without_records(on) == before
    must(on, "test ! -e /var/lib/http-registry")


def up(program: Checkout) -> str:
    """What it says."""
    return program.pulumi("up", "--yes", "--skip-preview", "--stack", STACK)


def test_two_components_of_a_yaml_program_share_a_host_and_each_takes_back_its_own(tmp_path: Path) -> None:
    with declared(tmp_path, "one-host-yaml", RUNTIME) as program:
        assert mirrors(RUNTIME) == [f"{HUB_URL}/"]
        assert "192.168.1.0/24" in must(RUNTIME, GUARDED)
        assert "14 unchanged" in up(program)

        file = program.folder / "Pulumi.yaml"
        text = yaml.safe_load(file.read_text())
        del text["resources"]["guard"]
        file.write_text(yaml.safe_dump(text, sort_keys=False))
        up(program)
        assert must(RUNTIME, GUARDED) == ""
        assert mirrors(RUNTIME) == [f"{HUB_URL}/"]


def test_a_program_in_python_does_the_same_by_the_generated_sdk(tmp_path: Path) -> None:
    with declared(tmp_path, "one-host-python", REGISTRY):
        assert mirrors(REGISTRY) == [f"{HUB_URL}/"]
        assert "192.168.1.0/24" in must(REGISTRY, GUARDED)
