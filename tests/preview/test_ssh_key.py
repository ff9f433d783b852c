"""Decides what `make ssh-key` and `make preview` show of a stack's own SSH key: its public half, and what is wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from settings.ssh_key import public_half
from tests.checkout import REAL, Checkout, checkout

pytestmark = pytest.mark.engine


@pytest.fixture
def dev(tmp_path: Path) -> Checkout:
    """The stack `dev`, in a checkout of the test's own."""
    (tmp_path / "checkout").mkdir()
    made = checkout(tmp_path / "checkout")
    made.write("dev", (REAL / "stacks" / "Pulumi.dev.yaml").read_text())
    return made


def test_the_line_with_the_public_half_is_shown_and_the_key_nowhere(dev: Checkout) -> None:
    line = dev.make("ssh-key", STACK="dev").splitlines()[1]
    key = dev.pulumi("config", "get", "ssh-key", "--stack", "dev")
    assert line == f"{public_half('ssh-key', key)} http-registry http-registry/dev"
    said = dev.make("preview", STACK="dev")
    assert f"+++ ~root/.ssh/authorized_keys\n@@ -0,0 +1 @@\n+{line}\n" in said
    assert "dev-ssh-access-confirmed" in said
    everything = said + dev.read("dev")
    assert not [each for each in key.strip().splitlines()[1:-1] if each in everything]


def test_a_key_behind_a_passphrase_is_an_error_among_the_others(dev: Checkout, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "of a person", "-f", tmp_path / "key"], check=True)
    dev.pulumi("stack", "init", "dev")
    dev.secret("dev", "ssh-key", (tmp_path / "key").read_text())
    dev.write("dev", dev.read("dev").replace("[10.20.0.0/16]", "[nowhere]"))
    said = dev.pulumi("preview", "--stack", "dev", status=1)
    assert "settings: 2 errors, nothing was touched" in said
    assert "ssh-key: is protected by a passphrase" in said
    assert "firewall.allow.0 = 'nowhere'" in said
