"""Decides that `make certificates` and the engine agree: keys become secrets, and `pulumi preview` takes them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from ops import stack as ops_stack
from ops.certificates import certify
from ops.stack import Stack
from settings import Tier, parse
from tests.certificates import authority
from toolchain.engine import engine_environment, ensure_engine

pytestmark = pytest.mark.engine

PROJECT = Path(__file__).parents[2]
DEV = PROJECT / "stacks" / "Pulumi.dev.yaml"
FOLDER = "stacks/certificates/dev"
PROXY = {
    "host": "dev",
    "endpoints": [
        {
            "registry": "hosted",
            "port": 443,
            "server_name": "registry.test",
            "tls": {"certificate": f"{FOLDER}/registry.pem", "hsts": "365d", "redirect_from": 80},
        }
    ],
    "users": [{"name": "ann", "role": "push"}],
}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The stack `dev` with an endpoint that has TLS, in a project that is the test's own."""
    for each in PROJECT.iterdir():
        if each.name not in ("stacks", ".work", ".git"):
            (tmp_path / each.name).symlink_to(each)
    (tmp_path / "stacks").mkdir()
    config = yaml.safe_load(DEV.read_text())
    config["config"] |= {
        "http-registry:proxy": PROXY,
        "http-registry:authorities": [
            {"name": "own", "certificate": f"{FOLDER}/authority.pem", "registries": ["registry.test"]}
        ],
    }
    (tmp_path / "stacks" / "Pulumi.dev.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "state").mkdir()
    environment = {
        **engine_environment(ensure_engine()),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}/state",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "NO_COLOR": "1",
    }
    environment.pop("SSH_AUTH_SOCK", None)
    monkeypatch.setattr(ops_stack, "PROJECT", tmp_path)
    made = Stack("dev", environment)
    made.make()
    made.pulumi("config", "set", "--secret", "password-ann", quiet=True, stdin="geheim")
    return made


def tier(folder: Path) -> Tier:
    config = yaml.safe_load((folder / "stacks" / "Pulumi.dev.yaml").read_text())["config"]
    plain = {key.partition(":")[2]: each for key, each in config.items()}
    return parse({key: each for key, each in plain.items() if not (isinstance(each, dict) and "secure" in each)})


def preview(stack: Stack, folder: Path) -> str:
    command = ["pulumi", "preview", "--diff", "--stack", "dev", "--non-interactive"]
    done = subprocess.run(command, cwd=folder, env=stack.environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_keys_are_secrets_that_a_preview_takes_and_another_s_key_is_refused(stack: Stack, tmp_path: Path) -> None:
    assert "must be a file below the project folder" in preview(stack, tmp_path)
    made = certify(stack, tier(tmp_path), tmp_path)
    assert made == [
        f"{FOLDER}/authority.pem: a new authority (there was none)",
        f"{FOLDER}/registry.pem: signed for registry.test (there was none)",
    ]
    assert certify(stack, tier(tmp_path), tmp_path) == [
        f"{each}: unchanged" for each in (f"{FOLDER}/authority.pem", f"{FOLDER}/registry.pem")
    ]
    config = yaml.safe_load((tmp_path / "stacks" / "Pulumi.dev.yaml").read_text())["config"]
    assert set(config["http-registry:ca-key"]) == set(config["http-registry:tls-key-hosted"]) == {"secure"}
    shown = preview(stack, tmp_path)
    assert "to create" in shown, shown
    assert "https://registry.test" in shown
    assert "PRIVATE KEY" not in shown
    stack.pulumi("config", "set", "--secret", "tls-key-hosted", quiet=True, stdin=authority().private)
    shown = preview(stack, tmp_path)
    assert "tls-key-hosted: is not the private key of the certificate in" in shown
    assert "PRIVATE KEY" not in shown
    assert "Traceback" not in shown
