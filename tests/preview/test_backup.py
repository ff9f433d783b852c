"""Decides what `make backup` and `make restore` do with a stack's state and files; no host has a part in it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.checkout import Checkout, checkout

pytestmark = pytest.mark.engine

STACK = """
config:
  http-registry:hosts:
    - name: h
      address: 192.0.2.1
      ssh: {host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9JosQNqfLmJG1o80jyvbjgKYaCdQCmvrSP1RmtymIH}
  http-registry:image: {reference: "registry:3.1.2"}
  http-registry:registries:
    - {kind: cache, name: hub, host: h, serves: docker.io, upstream: "https://registry-1.docker.io"}
  http-registry:firewall: {allow: [192.0.2.0/24]}
"""


@pytest.fixture
def here(tmp_path: Path) -> Checkout:
    """A checkout with the stack `s`, which has a secret and a state."""
    (tmp_path / "checkout").mkdir()
    made = checkout(tmp_path / "checkout")
    made.write("s", STACK)
    made.pulumi("stack", "init", "s", "--no-select")
    made.secret("s", "ca-key", "of the stack")
    put(made, "first")
    return made


def put(made: Checkout, output: str) -> None:
    """Let the state say something."""
    state = json.loads(made.pulumi("stack", "export", "--stack", "s"))
    urn = "urn:pulumi:s::http-registry::pulumi:pulumi:Stack::http-registry-s"
    state["deployment"]["resources"] = [
        {"urn": urn, "type": "pulumi:pulumi:Stack", "custom": False, "outputs": {"said": output}}
    ]
    made.pulumi("stack", "import", "--stack", "s", stdin=json.dumps(state))


def said(made: Checkout) -> str:
    """What the state says."""
    outputs: dict[str, str] = json.loads(made.pulumi("stack", "output", "--json", "--stack", "s"))
    return outputs["said"]


def test_what_is_lost_comes_back_and_what_is_there_stays(here: Checkout, tmp_path: Path) -> None:
    told = here.make("backup", STACK="s")
    assert "not in it: the passphrase" in told
    assert f"backup: {here.folder}/backups/s/20" in told
    saved = here.read("s")
    shutil.rmtree(here.folder / "state")
    (here.folder / "state").mkdir()
    (here.folder / "stacks" / "Pulumi.s.yaml").unlink()
    stranger = replace(here, environment={**here.environment, "PULUMI_CONFIG_PASSPHRASE": "another"})
    assert "incorrect passphrase" in stranger.make("restore", STACK="s", FROM="backups", status=1)
    told = here.make("restore", STACK="s", FROM="backups")
    assert "state: 1 resources put back" in told
    assert "next: make preview STACK=s, make up STACK=s" in told
    assert here.read("s") == saved
    assert said(here) == "first"
    assert here.pulumi("config", "get", "ca-key", "--stack", "s").strip() == "of the stack"

    put(here, "second")
    here.write("s", saved + "# Changed.\n")
    told = here.make("restore", STACK="s", FROM="backups")
    assert told.count("another than the backup's is there and stays; YES=1") == 2
    assert said(here) == "second"
    told = here.make("restore", STACK="s", FROM="backups", YES="1")
    assert (said(here), here.read("s")) == ("first", saved)

    state = next((here.folder / "backups" / "s").glob("2*/state.json"))
    state.write_text(state.read_text().replace("first", "worst"))
    put(here, "third")
    for more in ({"CHECK": "1"}, {"YES": "1"}):
        assert "missing or damaged: state.json" in here.make("restore", STACK="s", FROM="backups", status=1, **more)
    assert said(here) == "third"
