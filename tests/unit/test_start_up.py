"""Decides what of the start of a command may be left out, and that it says the same without it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.short_life import DEBUG
from ops.checkpoint import PROJECT_NAME, exists
from ops.stack import StackError
from ops.stack_file import observes
from toolchain.language_host.packages import packages
from toolchain.paths import CHECKOUT

LOADED = "import sys, {}; print(*sys.modules)"
HOST_PYTHON = CHECKOUT / "toolchain" / "language_host" / "python"
PIP_LIST = ("-m", "pip", "list", "-v", "--format", "json")
"""As the language host v3.68.0 asks (python/cmd/pulumi-language-python/main.go)."""


def run(*command: str | Path, **environment: str) -> str:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return subprocess.run(
        command, env={**os.environ, "PATH": path, **environment}, stdout=subprocess.PIPE, text=True, check=True
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


def test_ops_begins_without_what_single_commands_need() -> None:
    modules = "ops.__main__, ops.preview, ops.secret, ops.stack_file"
    loaded = {each.partition(".")[0] for each in run(sys.executable, "-c", LOADED.format(modules)).split()}
    assert "typer" in loaded
    assert not loaded & {"asyncio", "cryptography", "documents", "hostctl", "pydantic", "rich", "settings", "tomlkit"}


def test_a_stack_is_seen_in_a_folder_and_asked_for_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / ".pulumi" / "stacks" / PROJECT_NAME / "dev.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    assert exists(f"file://{tmp_path}", "dev")
    assert not exists(f"file://{tmp_path}", "prod")
    assert not exists(f"s3://{tmp_path}", "dev")
    assert not exists("", "dev")


@pytest.mark.parametrize(("asked", "sent"), [({}, False), ({DEBUG: "1"}, True)])
def test_the_sdk_s_debug_lines_are_sent_where_asked(asked: dict[str, str], sent: bool) -> None:
    program = (
        "from pulumi import log; from components.short_life import live_briefly; live_briefly();"
        "log._log = lambda *said: print(said[1:3]); log.get_engine = lambda: 1; log.debug('d'); log.warn('w')"
    )
    said = run(sys.executable, "-c", program, **asked)
    assert ("'d'" in said, "'w'" in said) == (sent, True)


def test_a_program_that_the_engine_interrupts_prints_no_stack_trace() -> None:
    program = (
        "import time; from components.short_life import live_briefly; live_briefly(); print(flush=True); time.sleep(9)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        assert running.stdout.readline()
        running.send_signal(signal.SIGINT)
        _, said = running.communicate()
    assert (running.returncode, said) == (-signal.SIGINT, "")


@pytest.mark.parametrize(("written", "asks"), [(None, False), (False, False), (True, True), ("often", None)])
def test_who_observes_asks_and_a_setting_that_is_none_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: Any, asks: bool | None
) -> None:
    whole = yaml.safe_load((CHECKOUT / "stacks" / "Pulumi.dev.yaml").read_text())
    whole["config"][f"{PROJECT_NAME}:observe"] = written
    monkeypatch.setattr("ops.stack_file.PROJECT", tmp_path)
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.dev.yaml").write_text(yaml.safe_dump(whole))
    assert not observes("missing")
    if asks is None:
        with pytest.raises(StackError, match="observe"):
            observes("dev")
    else:
        assert observes("dev") == asks
