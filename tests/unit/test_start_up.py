"""Decides what of the start of a command may be left out, and that it says the same without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from toolchain.language_host.packages import packages
from toolchain.paths import CHECKOUT

HOST_PYTHON = CHECKOUT / "toolchain" / "language_host" / "python"
PIP_LIST = ("-m", "pip", "list", "-v", "--format", "json")
"""As the language host v3.68.0 asks (python/cmd/pulumi-language-python/main.go)."""


def run(*command: str | Path) -> str:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return subprocess.run(
        command, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def listed(text: str) -> list[tuple[Any, ...]]:
    return sorted((each["name"], each["version"], each["location"]) for each in json.loads(text))


def test_the_language_host_is_told_the_packages_that_pip_tells() -> None:
    told = listed(run(HOST_PYTHON, *PIP_LIST))
    assert told == listed(run(sys.executable, *PIP_LIST))
    assert {"pulumi_command", "pulumi_docker"} <= {name for name, _, _ in told}


def test_all_else_is_the_first_python_on_path() -> None:
    assert run(HOST_PYTHON, "-c", "import sys; print(sys.prefix, sys.argv[1:])", "a b", "-m") == (
        f"{sys.prefix} ['a b', '-m']\n"
    )


def test_a_package_half_there_is_none(tmp_path: Path) -> None:
    for folder, name in ((tmp_path / "a", "One"), (tmp_path / "b", "One"), (tmp_path / "b", "two")):
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n\nName: text\n")
    (tmp_path / "a" / "cut-2.0.dist-info").mkdir()
    (tmp_path / "a" / "empty-2.0.dist-info").mkdir()
    (tmp_path / "a" / "empty-2.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\n\nName: x\nVersion: 1\n")
    found = list(packages([str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "none")]))
    assert [(each["name"], Path(each["location"]).name) for each in found] == [("One", "a"), ("two", "b")]


@pytest.mark.parametrize("plugin", ["command", "docker"])
def test_a_plugin_starts_without_the_sdk(plugin: str) -> None:
    program = (
        "import importlib, sys; from toolchain.plugins.shared.entry import without_sdk; without_sdk();"
        f"importlib.import_module('toolchain.plugins.{plugin}.plugin'); print(*sys.modules)"
    )
    loaded = set(run(sys.executable, "-c", program).split())
    assert "pulumi.runtime.proto.provider_pb2" in loaded
    assert not loaded & {"pulumi.resource", "opentelemetry", "yaml", "asyncssh", "docker"}
