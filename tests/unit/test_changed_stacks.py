"""Decides which stacks a change of the project's files belongs to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ops.changed_stacks import INERT, PROJECT, changed_stacks, stack_files

STACKS = {
    "dev": "config: {}",
    "prod": "http-registry:known_hosts: keys/prod\nca: certificates/office.pem",
    "prod-eu": "http-registry:known_hosts: keys/prod\n",
}
ALL = sorted(STACKS)


@pytest.mark.parametrize(
    ("paths", "stacks"),
    [
        ([], []),
        (["stacks/Pulumi.dev.yaml"], ["dev"]),
        (["stacks/Pulumi.prod.yaml"], ["prod"]),
        (["stacks/certificates/prod/authority.pem"], ["prod"]),
        (["certificates/office.pem"], ["prod"]),
        (["keys/prod", "docs/tls.md"], ["prod", "prod-eu"]),
        (["stacks/Pulumi.gone.yaml", "stacks/Pulumi.lab.yaml"], []),
        (["README.md", "docs/design.md", "tests/unit/test_x.py", ".github/workflows/up.yml"], []),
        (["stacks/Pulumi.dev.yaml", "components/host.py"], ALL),
        (["hostctl/units/firewall.py"], ALL),
        (["Pulumi.yaml"], ALL),
        (["requirements.txt"], ALL),
        (["something/new.py"], ALL),
    ],
)
def test_a_change_belongs_to_the_stacks_that_are_made_of_it(paths: list[str], stacks: list[str]) -> None:
    assert changed_stacks(paths, STACKS) == stacks


def test_every_folder_that_the_program_loads_is_all_stacks() -> None:
    """Asked of Python: what `components` imports of the project."""
    script = "import sys, components.outputs, components.configuration; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    packages = {each.partition(".")[0] for each in done.stdout.split()}
    ours = {each for each in packages if (PROJECT / each / "__init__.py").exists()}
    assert {"components", "documents", "hostctl", "settings"} <= ours
    assert not [each for each in ours if f"{each}/" in INERT]


def test_the_labs_stack_is_nobodys(tmp_path: Path) -> None:
    for name in ("dev", "lab"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text("config: {}\n")
    assert stack_files(tmp_path) == {"dev": "config: {}\n"}
