"""Decides that a stack's state can be in a bucket, or in PostgreSQL: two checkouts share it, its lock holds and is
cleared after a kill, nothing secret is in it in clear, and the passphrase can be changed.

One host has a registry and a Docker that it configures.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from lab import host
from tests.checkout import Checkout, checkout, on_the_lab
from tests.lab.hosts import must
from tests.lab.spare.site import RUNTIME
from tests.lab.spare.state_stores import Store, bucket, database

pytestmark = pytest.mark.lab

HOST, NAME = RUNTIME, "shared"
HELD = "/run/lock-of-a-test"
PASSWORD, OLD, NEW = "a-robots-password", "of a test", "another of a test"
STACK = f"""
config:
  http-registry:known_hosts: .work/lab/known_hosts
  http-registry:hosts:
    - {{name: {HOST}, address: {host(HOST).address}, ssh: {{host: {host(HOST).ssh_address}, port: 2222}}}}
  http-registry:image: {{reference: "registry:3", archive: .work/lab/registry.tar}}
  http-registry:registries:
    - {{kind: hosted, name: hosted, host: {HOST}, port: 5000, keep_data: false}}
  http-registry:runtimes:
    - host: {HOST}
      docker: {{max_concurrent_downloads: 6}}
      cli: [{{user: root, logins: [{{registry: registry.internal, user: robot}}]}}]
  http-registry:firewall:
    allow: [192.168.1.0/24]
    confirm_seconds: 10
"""


@dataclass(frozen=True)
class Team:
    """Two checkouts of one project, as on two machines, with one store; the passphrase is `passphrase`."""

    one: Checkout
    other: Checkout
    key: str
    store: Store

    def with_passphrase(self, passphrase: str) -> Checkout:
        """The first, whose user types this one."""
        return replace(self.one, environment={**self.one.environment, "PULUMI_CONFIG_PASSPHRASE": passphrase})


@pytest.fixture(scope="module", params=[bucket, database], ids=lambda each: each.__name__)
def team(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with request.param() as store, on_the_lab(tmp_path_factory.mktemp("one")) as made:
        environment = {**made.environment, "PULUMI_BACKEND_URL": store.url, **store.environment}
        one = replace(made, environment=environment)
        other = replace(checkout(tmp_path_factory.mktemp("other")), environment=environment)
        one.write(NAME, STACK)
        try:
            one.pulumi("stack", "init", NAME)
            one.secret(NAME, "password-robot", PASSWORD)
            one.make("ssh-key", STACK=NAME)
            one.make("up", STACK=NAME)
            key = one.pulumi("config", "get", "ssh-key", "--stack", NAME)
            other.write(NAME, one.read(NAME))
            yield Team(one, other, key, store)
        finally:
            last = one
            if "incorrect passphrase" in (said := destroyed(one)):
                last = replace(one, environment={**environment, "PULUMI_CONFIG_PASSPHRASE": NEW})
                said = destroyed(last)
            assert "have been deleted" in said


def destroyed(by: Checkout) -> str:
    done = subprocess.run(
        ["make", "destroy", f"STACK={NAME}"], cwd=by.folder, env=dict(by.environment), capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def max_downloads(team: Team, number: int) -> None:
    """Another setting, which changes Docker's configuration."""
    for each in (team.one, team.other):
        text = each.read(NAME)
        old = next(word for word in text.replace("}", " ").split() if word.isdigit() and f"downloads: {word}" in text)
        each.write(NAME, text.replace(f"max_concurrent_downloads: {old}", f"max_concurrent_downloads: {number}"))


@contextmanager
def hostctl_waits() -> Iterator[Callable[[], None]]:
    """While the block runs, or until it calls what is yielded, nothing can be changed on the host."""
    hold = f"flock /var/lib/http-registry/lock sh -c 'echo $$ > {HELD}; exec sleep 120'"
    must(HOST, f"{hold} >/dev/null 2>&1 & until [ -s {HELD} ]; do sleep 0.1; done")

    def release() -> None:
        must(HOST, f"[ ! -e {HELD} ] || {{ kill $(cat {HELD}); rm {HELD}; }}")

    try:
        yield release
    finally:
        release()


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_nothing_secret_is_in_the_store_in_clear(team: Team) -> None:
    kept = team.store.contents()
    assert f"{HOST}-docker-cli" in kept
    secret = [PASSWORD, OLD, team.store.secret, *team.key.strip().splitlines()[1:-1]]
    assert [each for each in secret if each in kept] == []


def test_another_checkout_goes_on_with_the_same_state(team: Team) -> None:
    assert " unchanged" in team.other.make("up", STACK=NAME)
    max_downloads(team, 5)
    assert "docker-mirrors" in team.other.make("up", STACK=NAME)
    assert " unchanged" in team.one.make("up", STACK=NAME)


def test_one_works_at_a_time_and_after_a_kill_the_next_up_of_the_same_checkout_goes_on(team: Team) -> None:
    trace = team.one.folder / ".work" / f"pulumi.{NAME}.pid"
    max_downloads(team, 4)
    with hostctl_waits() as release:
        working = subprocess.Popen(
            ["make", "up", f"STACK={NAME}"], cwd=team.one.folder, env=dict(team.one.environment),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_until(lambda: "docker-mirrors" in pending(team))
            assert "the stack is currently locked by 1 lock(s)" in team.other.make("up", STACK=NAME, status=1)
            os.kill(int(trace.read_text()), 9)
        finally:
            working.wait()
        assert "the stack is currently locked by 1 lock(s)" in team.other.make("up", STACK=NAME, status=1)
        release()
        said = team.one.make("up", STACK=NAME)
    assert f"The process that held {NAME}'s lock is dead: clearing the lock." in said
    assert "1 interrupted steps will be taken again." in said
    assert '"max-concurrent-downloads": 4' in must(HOST, "cat /etc/docker/daemon.json")
    assert " unchanged" in team.other.make("up", STACK=NAME)


def pending(team: Team) -> str:
    """What the state says is under way."""
    state = team.one.pulumi("stack", "export", "--stack", NAME)
    return state.partition('"pending_operations"')[2]


def test_a_state_moves_to_another_backend(team: Team) -> None:
    folder = {**team.one.environment, "PULUMI_BACKEND_URL": f"file://{team.one.folder}/state"}
    moved = replace(team.one, environment=folder)
    state = team.one.pulumi("stack", "export", "--stack", NAME)
    moved.pulumi("stack", "init", NAME, "--no-select")
    moved.pulumi("stack", "import", "--stack", NAME, stdin=state)
    assert " unchanged" in moved.make("up", STACK=NAME)


def test_the_passphrase_is_changed_and_the_old_one_opens_nothing(team: Team) -> None:
    said = team.one.pulumi("stack", "change-secrets-provider", "passphrase", "--stack", NAME, stdin=f"{NEW}\n")
    assert "Migrating old configuration and state to new secrets provider" in said
    assert "incorrect passphrase" in team.one.pulumi("config", "get", "ssh-key", "--stack", NAME, status=1)
    renewed = team.with_passphrase(NEW)
    assert renewed.pulumi("config", "get", "ssh-key", "--stack", NAME).strip() == team.key.strip()
    assert " unchanged" in renewed.make("up", STACK=NAME)
