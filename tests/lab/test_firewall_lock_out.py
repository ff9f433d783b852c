"""Decides, on the lab's registry host, that a policy never locks its admin out and never opens what it keeps closed:
whether nobody can confirm it, hostctl is killed, the host is restarted, or others flush the kernel's rules.

A container shares the kernel's boot id with its machine, so a host of the lab that is restarted during a trial waits
for the trial's end, where another goes back at once.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import docker, host
from lab.hosts import INSIDE
from ops.stack import PROJECT, Stack
from settings.firewall import Rule
from tests.lab.hosts import HOSTCTL, must, pulumi, restart, without_records
from tests.lab.unit_requests import firewall_wish, hostctl, request

pytestmark = pytest.mark.lab

REGISTRY = "registry"
UP = ("up", "--yes", "--skip-preview", "--diff")
SECONDS = 10
"""The shortest trial that the settings have."""
SHORT = 5
"""One shorter still, where it is asked for without them."""
SOMEBODY = "192.168.1.200/32"
SHUT_OUT = Rule(ports=(22,), allow=(SOMEBODY,))
MENDED = Rule(ports=(22,), allow=(SOMEBODY, f"{INSIDE.gateway}/32"))
ANOTHER = Rule(ports=(5600,), allow=(SOMEBODY,))
REVERT = "http-registry-firewall-revert"
CLOSED = [("192.168.2.11", 80), ("192.168.2.11", 5080), ("192.168.1.11", 80)]
"""What the outsider never reaches, and nginx listens there."""
KNOCK = """
import json, select, socket, sys
tries = opened = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    for place in json.loads(sys.argv[1]):
        with socket.socket() as client:
            client.settimeout(0.05)
            tries += 1
            opened += not client.connect_ex(tuple(place))
print(json.dumps([tries, opened]))
"""
KILLED = """
import os, signal, sys
step, program = sys.argv[1:]
sys.argv = [program, "apply"]
sys.path.insert(0, program)
from hostctl.__main__ import read_request
from hostctl.host import Host
from hostctl.transaction import Transactions
from hostctl.units import unit_named
request = read_request(sys.stdin.buffer.read())
def die(reached):
    if reached == step:
        os.kill(os.getpid(), signal.SIGKILL)
Transactions(Host(), die, request.owner).apply(unit_named(request.unit), request.wish)
"""


def ssh(script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a shell script over a connection of its own, as the admin comes."""
    command = ["ssh", "-F", str(PROJECT / ".work" / "lab" / "ssh_config"), "-o", "ConnectTimeout=2", REGISTRY, script]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def by_ssh(action: str, wish: dict[str, Any]) -> dict[str, Any]:
    """The report of a request, made over SSH."""
    done = ssh(f"{HOSTCTL} {action}", request(REGISTRY, "firewall", wish))
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def gets_in() -> bool:
    return ssh("true").returncode == 0


def rules() -> str:
    """Our rules as the kernel has them, of both families."""
    return must(REGISTRY, "for each in iptables ip6tables; do $each -w -t mangle -S 2>/dev/null || exit; done")


def on_host() -> list[str]:
    """What is on the host; Docker puts its rules in another order at each start."""
    return sorted(without_records(REGISTRY))


def until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.3)


@contextmanager
def never_open() -> Iterator[None]:
    """The outsider knocks at closed ports all the time, several times a second, and never gets in."""
    engine = docker.running()
    assert engine is not None
    command = ["docker", "exec", "-i", host("outsider").container, "python3", "-c", KNOCK, json.dumps(CLOSED)]
    with subprocess.Popen(
        command, env=engine.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as knocking:
        try:
            yield
        finally:
            said, _ = knocking.communicate("end\n", timeout=30)
    tries, opened = json.loads(said)
    assert tries > 10
    assert opened == 0


@pytest.fixture
def guarded(stack: Stack) -> Iterator[list[str]]:
    """What is on the host; it is so again in the end, once the stack's own policy is applied."""
    before = on_host()
    try:
        yield before
    finally:
        hostctl(REGISTRY, "apply", firewall_wish(), unit="firewall")
    assert on_host() == before


def with_rules(folder: Path, name: str, *more: Rule) -> str:
    """A stack file with more rules than the lab's, that `force` says are tried whomever they shut out."""
    whole = yaml.safe_load((PROJECT / "stacks" / "Pulumi.lab.yaml").read_text())
    listed = [each.model_dump(mode="json", exclude_none=True) for each in more]
    whole["config"]["http-registry:firewall"] |= {"rules": listed, "confirm_seconds": SECONDS, "force": True}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(whole))
    return str(file)


def test_up_fails_with_the_reason_when_it_shuts_itself_out_and_the_next_one_mends_it(
    stack: Stack, guarded: list[str], tmp_path: Path
) -> None:
    shut_out, mended = with_rules(tmp_path, "shut-out", SHUT_OUT), with_rules(tmp_path, "mended", MENDED)
    began = time.time()
    try:
        with never_open():
            said = pulumi(stack, *UP, "--config-file", shut_out, fails=True)
        assert f"port 22: is sshd's, and the allowlist ({SOMEBODY}) does not hold {INSIDE.gateway}" in said
        assert f"came back at {time.strftime('%Y-%m-%d', time.gmtime())}" in said
        assert f"no new connection reached the host within {SECONDS} s" in said
        assert f"If the change shuts you out, who come from {INSIDE.gateway}, mend the settings" in said
        assert gets_in()
        assert on_host() == guarded
        journal = must(REGISTRY, f"journalctl -q -u {REVERT} -o cat --since=@{began:.0f}")
        assert f"not confirmed within {SECONDS} s; what was in force before is so again" in journal

        said = pulumi(stack, *UP, "--config-file", mended)
        assert "confirmed by a new connection; it stays" in said
        assert "--dports 22 " in rules()
        time.sleep(SECONDS)
        assert gets_in()
        assert "--dports 22 " in rules()
        pulumi(stack, "preview", "--expect-no-changes", "--config-file", mended)
    finally:
        pulumi(stack, "up", "--yes", "--skip-preview")
    pulumi(stack, "preview", "--expect-no-changes")


def test_a_restart_of_the_host_during_a_trial_comes_back_to_what_was_confirmed(guarded: list[str]) -> None:
    before = rules()
    assert by_ssh("apply", firewall_wish(ANOTHER, confirm_seconds=15))["confirm_within"] == 15
    assert rules() != before
    with never_open():
        restart(REGISTRY)
        until(lambda: rules() == before, 60)
    assert gets_in()
    units = "ls /etc/systemd/system /etc/systemd/system/multi-user.target.wants"
    until(lambda: REVERT not in must(REGISTRY, units), 10)


def test_what_is_confirmed_outlives_the_host_docker_and_whoever_flushes(guarded: list[str]) -> None:
    by_ssh("apply", firewall_wish(ANOTHER))
    assert by_ssh("confirm", firewall_wish(ANOTHER))["result"] == "confirmed"
    confirmed = rules()
    assert "--dports 5600 " in confirmed
    with never_open():
        restart(REGISTRY)
        assert rules() == confirmed
        must(REGISTRY, "systemctl reset-failed docker; systemctl restart docker")
        assert rules() == confirmed
    try:
        for verb in ("restart", "reload", "stop"):
            must(REGISTRY, f"systemctl {verb} nftables")
            until(lambda: rules() == confirmed, 5)
            with never_open():
                time.sleep(1)
    finally:
        restart(REGISTRY)  # Docker's own rules are flushed as well
    assert rules() == confirmed
    assert gets_in()


@pytest.mark.parametrize("step", ["verify", "armed"])
def test_hostctl_killed_on_trial_leaves_a_timer_that_takes_it_back(guarded: list[str], step: str) -> None:
    """Before it has said that all is well, and after; the policy shuts out whoever would have to repair it."""
    wish = firewall_wish(SHUT_OUT, confirm_seconds=SHORT, force=True)
    killed = f"python3 -c {shlex.quote(KILLED)} {step} {HOSTCTL.removeprefix('python3 -I -S ')}"
    with never_open():
        done = ssh(killed, request(REGISTRY, "firewall", wish))
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        assert not gets_in()
        until(gets_in, SHORT + 10)
    assert on_host() == guarded
