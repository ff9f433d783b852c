"""Decides what `pip install` brings: the components in a fresh venv, away from the checkout, used in two ways."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.checkout import REAL, Checkout
from tests.other_programs import KEY, STACK, yaml_program

pytestmark = pytest.mark.engine

PROGRAM = f"""
from pathlib import Path

import pulumi

import components
from components import FirewallPolicy, Host
from components.firewall_policy import FirewallPolicyArgs
from components.host import HostArgs
from hostctl.package import build
from settings.firewall import Firewall, Rule
from settings.tier import Host as Machine

assert ".venv/lib" in components.__file__
program = Path("hostctl.pyz")
digest = build(program)
machine = Machine(name="gate", address="192.168.77.1")
host = Host("gate", HostArgs(machine, {KEY!r}, program, digest, Path("known_hosts"), {{}}))
networks = ("192.168.1.0/24",)
args = FirewallPolicyArgs(host, [Rule(ports=(8080,), allow=networks)], Firewall(allow=networks), 22)
pulumi.export("paths", sorted(FirewallPolicy("gate-firewall", args).documents))
"""
INSTALLED = """
name: installed
runtime: yaml
resources:
  gate:
    type: http-registry:FirewallPolicy
    properties:
      host:
        address: 192.168.77.1
        ssh: {hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx}
      rules: [{ports: [8080], allow: [192.168.1.0/24]}]
"""


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the wheel, made of a copy; what it needs is this one's, so that nothing is fetched."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "build", "*.egg-info", "lab", "tests", "docs")
    shutil.copytree(REAL, source, ignore=ignored)
    subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
    python = str(folder / ".venv" / "bin" / "python")
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    theirs = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    command = [python, "-m", "pip", "install", "-q", "--no-deps", str(source)]
    subprocess.run(command, check=True)
    Path(theirs, "of_the_tests.pth").write_text(sysconfig.get_path("purelib"))
    shutil.rmtree(source)
    return folder / ".venv"


def inside(made: Checkout, venv: Path) -> Checkout:
    """The program with that venv's programs first on PATH."""
    path = os.pathsep.join((str(venv / "bin"), made.environment["PATH"]))
    return Checkout(made.folder, {**made.environment, "PATH": path})


def test_a_python_program_declares_the_components_themselves(tmp_path: Path, venv: Path) -> None:
    made = inside(yaml_program(tmp_path, "name: installed\nruntime: python\n", {}), venv)
    (made.folder / "__main__.py").write_text(PROGRAM)
    (made.folder / ".venv").symlink_to(venv)
    text = made.pulumi("preview", "--stack", STACK)
    assert "gate-firewall-confirmed" in text
    assert "/etc/http-registry/firewall.v4" in text


def test_the_engine_finds_the_package_on_path(tmp_path: Path, venv: Path) -> None:
    made = inside(yaml_program(tmp_path, INSTALLED, {}), venv)
    text = made.pulumi("preview", "--stack", STACK)
    assert f"using pulumi-resource-http-registry from $PATH at {venv}" in text
    assert "command:remote:Command gate-firewall" in text
