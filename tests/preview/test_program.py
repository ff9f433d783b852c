"""Decides what `pulumi preview` says of the program itself, where no host could be reached."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from toolchain.engine import engine_environment, ensure_engine

pytestmark = pytest.mark.engine

PROJECT = Path(__file__).parents[2]
DEV = PROJECT / "stacks" / "Pulumi.dev.yaml"
WRONG = PROJECT / "tests" / "cases" / "settings" / "everything-at-once.yaml"


def preview(folder: Path, config: str, fails: bool = False) -> str:
    """A preview of the program with these settings, as the stack `dev` of a project that is the test's own."""
    packages = (
        "components",
        "documents",
        "garbage_collection",
        "hostctl",
        "offline_sync",
        "origin",
        "proxy_alive",
        "pull_metrics",
        "registry_outputs",
        "settings",
        "status_page",
    )
    for each in ("Pulumi.yaml", "__main__.py", ".venv", *packages):
        (folder / each).symlink_to(PROJECT / each)
    (folder / "stacks").mkdir()
    (folder / "stacks" / "Pulumi.dev.yaml").write_text(config)
    (folder / "state").mkdir()
    environment = {
        **engine_environment(ensure_engine()),
        "PULUMI_BACKEND_URL": f"file://{folder}/state",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "NO_COLOR": "1",
    }
    environment.pop("SSH_AUTH_SOCK", None)

    def pulumi(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["pulumi", *arguments, "--non-interactive"]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    assert pulumi("stack", "init", "dev").returncode == 0
    done = pulumi("preview", "--diff", "--stack", "dev")
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_new_stack_is_shown_without_any_host(tmp_path: Path) -> None:
    text = preview(tmp_path, DEV.read_text())
    assert "19 to create" in text
    assert "/etc/docker/daemon.json" in text
    assert "http://10.20.0.10:5001" in text
    assert "/etc/http-registry/firewall.v4" in text
    assert 'pull_prefix     : "10.20.0.10:5000"' in text


def test_bad_settings_are_all_listed_at_once_and_nothing_is_planned(tmp_path: Path) -> None:
    case = yaml.safe_load(WRONG.read_text())
    settings = {f"http-registry:{key}": each for key, each in case["settings"].items()}
    text = preview(tmp_path, yaml.safe_dump({"config": settings}), fails=True)
    assert f"settings: {len(case['errors'])} errors, nothing was touched" in text
    for error in case["errors"]:
        assert error in text
    assert "geheim" not in text
    assert "Traceback" not in text
    assert "to create" not in text.replace("1 to create", "")


def test_a_stack_without_settings_is_told_what_it_needs(tmp_path: Path) -> None:
    text = preview(tmp_path, "config: {}\n", fails=True)
    for key in ("hosts", "image", "registries", "firewall"):
        assert f"{key}: is required; add it" in text


def test_a_missing_file_and_a_missing_secret_are_listed_together(tmp_path: Path) -> None:
    settings = yaml.safe_load((PROJECT / "stacks" / "Pulumi.lab.yaml").read_text())["config"]
    plain = {key: each for key, each in settings.items() if "password" not in key}
    plain["http-registry:known_hosts"] = ".work/nowhere"
    text = preview(tmp_path, yaml.safe_dump({"config": plain}), fails=True)
    assert "password-pusher: is required; set it with 'pulumi config set --secret password-pusher'" in text
    assert "known_hosts = '.work/nowhere': must be a file below the project folder" in text
