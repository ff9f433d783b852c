"""Decides that the workflows are such as GitHub takes: actionlint, built like the lab's programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import binaries
from ops.stack import PROJECT

pytestmark = pytest.mark.engine


def actionlint(*files: Path) -> subprocess.CompletedProcess[str]:
    # Without the linters of scripts, which are not Go's.
    command = [str(binaries.build(binaries.ACTIONLINT) / "actionlint"), "-shellcheck=", "-pyflakes=", "-no-color"]
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)


def test_the_workflows_have_no_error() -> None:
    done = actionlint(*sorted((PROJECT / ".github" / "workflows").glob("*.yml")))
    assert (done.returncode, done.stdout) == (0, "")


def test_an_output_that_no_job_has_is_found(tmp_path: Path) -> None:
    text = (PROJECT / ".github" / "workflows" / "preview.yml").read_text()
    (wrong := tmp_path / "preview.yml").write_text(
        text.replace("needs.changed.outputs.stacks", "needs.changed.outputs.stack")
    )
    done = actionlint(wrong)
    assert done.returncode == 1
    assert 'property "stack" is not defined' in done.stdout
