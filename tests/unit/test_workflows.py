"""Decides what the workflows may do, and that they fit the project. tests/preview/test_actionlint.py reads them too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.preview_report import marker
from ops.stack import PROJECT
from toolchain.build import pinned_version

FILES = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {file.stem: yaml.safe_load(file.read_text()) for file in FILES}
PINNED = re.compile(r"\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
JOBS = [(name, job) for name, each in WORKFLOWS.items() for job in each["jobs"]]
ON: Any = True
"""What YAML 1.1 makes of the key `on`."""


def job(workflow: str, name: str) -> Any:
    return WORKFLOWS[workflow]["jobs"][name]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_action_is_pinned_by_its_commit(file: Path) -> None:
    used = re.findall(r"uses: (.*)", file.read_text())
    assert used
    assert [each for each in used if not PINNED.fullmatch(each)] == []


@pytest.mark.parametrize(("workflow", "name"), JOBS)
def test_each_job_has_the_permissions_that_it_names_alone(workflow: str, name: str) -> None:
    """Who may write to GitHub has no secret, and no code of the project."""
    assert WORKFLOWS[workflow]["permissions"] == {}
    mine = job(workflow, name)
    text = yaml.safe_dump(mine)
    writes = [each for each, level in mine.get("permissions", {}).items() if level == "write"]
    if writes:
        assert "secrets." not in text
        assert "actions/checkout" not in text
    if "secrets." in text:
        assert mine["environment"]


def test_code_of_a_fork_gets_nothing() -> None:
    assert WORKFLOWS["preview"][ON] == "pull_request"
    assert not [each for each in WORKFLOWS.values() if "pull_request_target" in str(each[ON])]
    fork, mine = job("preview", "fork"), job("preview", "preview")
    assert "head.repo.full_name != github.repository" in fork["if"]
    assert "head.repo.full_name == github.repository" in mine["if"]
    assert "secrets." not in yaml.safe_dump(fork)
    assert not any("uses" in step for step in fork["steps"])


def test_up_waits_for_approval_and_runs_alone() -> None:
    up = job("up", "up")
    assert up["environment"] == "${{ matrix.stack }}"
    assert up["strategy"]["max-parallel"] == 1
    assert WORKFLOWS["up"]["concurrency"] == {"group": "up"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_pulumi_is_the_version_that_is_tested(file: Path) -> None:
    versions = re.findall(r"pulumi-version: ([0-9.]+)", file.read_text())
    assert {f"v{each}" for each in versions} == {pinned_version(PROJECT / "toolchain" / "go" / "cli")}


def test_the_comment_of_the_last_run_is_found() -> None:
    step = job("preview", "comment")["steps"][1]
    assert step["env"]["MARKER"].replace("${{ matrix.stack }}", "prod") == marker("prod")
