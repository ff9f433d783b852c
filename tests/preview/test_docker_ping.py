"""Decides that Docker's own client over ssh://, as in the official docker plugin, is content with a preview's `ssh`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import hostimage
from ops.preview import preview_environment

pytestmark = pytest.mark.engine

NOWHERE = "ssh://root@192.0.2.1:2222"
"""A host that nobody has (RFC 5737)."""


def docker(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """This machine's docker command, or the one of the lab hosts' Debian."""
    program = shutil.which("docker") or str(hostimage.program("docker"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return subprocess.run(
        [program, "--host", NOWHERE, *arguments],
        env={**environment, **preview_environment(environment)},
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


def test_its_ping_is_answered(tmp_path: Path) -> None:
    """It takes over the version that the answer names."""
    done = docker("version", "--format", "{{.Client.APIVersion}}", home=tmp_path)
    assert done.stdout.strip() == "1.41"


def test_whatever_else_it_asks_is_refused_with_the_reason(tmp_path: Path) -> None:
    done = docker("ps", home=tmp_path)
    assert done.returncode != 0
    assert "this is a preview, which reaches no host: GET /v1.41/containers/json is not answered" in done.stderr
