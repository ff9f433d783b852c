"""Decides, on the lab's hosts, that `up` and `destroy` go on after a pulumi that was killed, wherever it was."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops import many_hosts
from ops.proof import prove
from ops.recovery import recover
from ops.stack import LAB_STATE, PROJECT, Stack
from tests.lab.hosts import HOSTS, must, pulumi, snapshot

pytestmark = pytest.mark.lab

UP = (
    "registry-python creating",
    "registry-hostctl creating",
    "command:remote:Command registry-firewall creating",
    "registry-docker-image creating",
    "registry.hosted-container creating",
    "registry-origin creating",
    "registry-nginx-proxy creating",
    "docker1-docker-mirrors creating",
)
"""In the order of their dependencies: what was being made is made again by the next, which comes further."""
DOWN = ("containerd1-containerd-mirrors deleting", "registry.hosted-container deleting", "registry-firewall deleting")


def killed(stack: Stack, command: str, moment: str, *options: str, later: float = 0) -> bool:
    """Run pulumi and SIGKILL it `later` seconds after it prints `moment`; False where it never does."""
    shown = ("--stack", stack.name, "--non-interactive", "--color", "never")
    process = subprocess.Popen(
        ["pulumi", command, "--yes", "--skip-preview", *shown, *options],
        cwd=PROJECT, env=stack.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    with process, process.stdout or open("/dev/null") as lines:
        for line in lines:
            if f" {moment} " in line:
                time.sleep(later)
                process.kill()
                return True
    return False


def go_on(stack: Stack) -> None:
    """What every command does first."""
    stack.make()
    recover(stack)


@contextmanager
def given_back(stack: Stack) -> Iterator[None]:
    """The block begins with nothing on the hosts; a `destroy` after it leaves them just so. Then the stack is up."""
    pulumi(stack, "destroy", "--yes", "--skip-preview")
    before = {name: snapshot(name) for name in HOSTS}
    try:
        yield
        pulumi(stack, "destroy", "--yes", "--skip-preview")
        assert {name: snapshot(name) for name in HOSTS} == before
    finally:
        go_on(stack)
        pulumi(stack, "up", "--yes", "--skip-preview", "--suppress-outputs")


def test_up_and_destroy_converge_after_each_kill(stack: Stack) -> None:
    with given_back(stack):
        for moment in UP:
            go_on(stack)
            assert killed(stack, "up", moment), f"{moment}: never came"
        go_on(stack)
        assert "warning" not in pulumi(stack, "up", "--yes", "--skip-preview", "--suppress-outputs")
        assert "created" not in pulumi(stack, "up", "--yes", "--skip-preview", "--suppress-outputs")
        names = must("registry", "docker ps --format '{{.Names}}'").split()
        assert names == ["http-registry-hosted"]
        assert prove(stack)
        for moment in DOWN:
            assert killed(stack, "destroy", moment), f"{moment}: never came"
            go_on(stack)


def test_destroy_takes_back_what_a_killed_up_has_left(stack: Stack) -> None:
    """The proxy's site comes to be after the kill, and no state knows of it; the checkpoint was being written."""
    with given_back(stack):
        assert killed(stack, "up", "registry-nginx-proxy creating", later=0.4)
        (LAB_STATE / ".pulumi/stacks/http-registry/lab.json.attrs").write_text("")
        go_on(stack)
        assert "/etc/nginx/conf.d/http-registry.conf" in "\n".join(snapshot("registry"))


def test_up_goes_on_where_the_state_was_lost(stack: Stack) -> None:
    shutil.rmtree(LAB_STATE / ".pulumi")
    go_on(stack)
    assert "created" in pulumi(stack, "up", "--yes", "--skip-preview", "--suppress-outputs")
    assert prove(stack)


@pytest.fixture
def written_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The state is written as where there are many hosts."""
    monkeypatch.setattr(many_hosts, "MANY", 1)
    before = dict(stack.environment)
    stack.environment.update(many_hosts.ONCE)
    yield
    stack.environment.clear()
    stack.environment.update(before)


@pytest.mark.usefixtures("written_once")
def test_up_goes_on_where_the_state_was_to_be_written_at_the_end(stack: Stack, tmp_path: Path) -> None:
    """A change is killed when the registry's container has been replaced, and then given up; then a first `up`."""
    text = (PROJECT / "stacks" / "Pulumi.lab.yaml").read_text()
    wish = tmp_path / "Pulumi.lab.yaml"
    wish.write_text(text.replace("keep_data: false", "keep_data: false, sparse_indexes: true"))
    known = stack.state()["deployment"]["resources"]
    assert killed(stack, "up", "registry.hosted-container-ready updating", "--config-file", str(wish))
    assert stack.state()["deployment"]["resources"] == known
    go_on(stack)
    assert "created" in pulumi(stack, "up", "--yes", "--skip-preview", "--suppress-outputs")
    assert prove(stack)

    with given_back(stack):
        assert killed(stack, "up", "docker1-docker-mirrors creating")
        go_on(stack)
        pulumi(stack, "up", "--yes", "--skip-preview", "--suppress-outputs")
        assert prove(stack)
        assert killed(stack, "destroy", "registry-python deleting", later=0.3)
        go_on(stack)
