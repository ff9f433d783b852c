"""What the hub is told to serve and to whom. That it does so needs a real `lab/up`, which asks it each time."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hostctl.canary import REPOSITORY
from lab import hub, images
from lab.binaries import VERSITYGW
from lab.services import MEMBER, PUBLISHER, S3
from lab.token_server import Config, granted


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(hub.TOKENS))
    return Config.read(file)


@pytest.mark.parametrize(
    ("user", "repository", "actions"),
    [
        ("", images.APP.tag, ["pull"]),
        ("", images.BIG.tag, ["pull"]),
        ("", f"{REPOSITORY}:1", ["pull"]),
        ("", hub.PRIVATE, []),
        (MEMBER.user, hub.PRIVATE, ["pull"]),
        (MEMBER.user, images.APP.tag, ["pull"]),
        (PUBLISHER.user, hub.PRIVATE, ["pull", "push"]),
        (PUBLISHER.user, f"{REPOSITORY}:1", ["pull", "push"]),
    ],
)
def test_who_may_do_what(config: Config, user: str, repository: str, actions: list[str]) -> None:
    scope = f"repository:{repository.partition(':')[0]}:pull,push"
    claim = granted([scope], [config.anonymous, *([config.users[user].access] if user else [])])
    assert [each["actions"] for each in claim] == ([actions] if actions else [])


def test_the_object_store_is_started_with_the_port_the_keys_and_the_bucket_that_tests_use() -> None:
    unit = VERSITYGW.files["etc/systemd/system/versitygw.service"].read_text()
    port = S3.endpoint.rpartition(":")[2]
    assert f"--port :{port} posix /var/lib/versitygw\n" in unit
    assert f"ROOT_ACCESS_KEY={S3.access_key} ROOT_SECRET_KEY={S3.secret_key}\n" in unit
    assert f"StateDirectory=versitygw/{S3.bucket}\n" in unit


def test_a_hub_of_another_recipe_is_filled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = hub.check()
    monkeypatch.setattr(hub, "SITE", hub.SITE.replace("combined", "main"))
    assert hub.check() != now


@pytest.mark.parametrize("script", [hub.START, hub.check()])
def test_its_scripts_are_scripts(script: str) -> None:
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
