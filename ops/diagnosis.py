"""After a command that failed: which hosts can't be asked, and what to do about each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from ops.configuration import tier_of, write_known_hosts
from ops.deployment import hosts_of
from ops.drift_marks import places
from ops.ssh import on_host
from ops.stack import Stack, StackError
from settings.tier import Host

SSH_FAILED = 255
"""ssh's own exit status, whatever the command's would be (ssh(1))."""
KEY = ("REMOTE HOST IDENTIFICATION HAS CHANGED", "Host key verification failed")
LOGIN = "Permission denied"


@contextmanager
def explained(stack: Stack) -> Iterator[None]:
    """Print what is wrong with the hosts where a command fails."""
    try:
        yield
    except StackError:
        for line in _troubles(stack):
            print(f"ops: {line}", file=sys.stderr)
        raise


def remedy(stack: str, host: str, said: str) -> str:
    """What to do about a host to which `ssh` does not get; `said`: what it printed."""
    if any(each in said for each in KEY):
        return (
            f"{host}: shows another host key than the settings have. Where it was reinstalled: put its new key there "
            f"(hosts.*.ssh.host_key, or the file known_hosts), then 'make reinstalled STACK={stack} HOST={host}'; "
            "where it was not, somebody else answers in its place"
        )
    last = (said.strip().splitlines() or ["no answer"])[-1]
    if LOGIN in said:
        return (
            f"{host}: refuses root's login ({last}); the SSH agent must hold a key that is in root's "
            "authorized_keys there; 'ssh-add -l' lists those that it holds"
        )
    return (
        f"{host}: can't be reached ({last}); start it. Where it is gone for good: take it out of the stack's file, "
        f"'make forget STACK={stack} HOST={host}', and do this again"
    )


def _troubles(stack: Stack) -> list[str]:
    try:
        tier = tier_of(stack.name)
        known_hosts = write_known_hosts(stack.name)
        deployment = stack.state()["deployment"]
    except StackError:
        return []
    programs = {each.host: each.program for each in places(deployment)}

    def ask(host: Host) -> subprocess.CompletedProcess[str]:
        program = programs.get(host.name) or programs.get(host.was or "")
        return on_host(stack, host, known_hosts, f"[ -e {program} ]" if program else "true")

    with ThreadPoolExecutor(len(tier.hosts)) as pool:
        asked = dict(zip(tier.hosts, pool.map(ask, tier.hosts), strict=True))
    found = [
        remedy(stack.name, host.name, done.stderr) for host, done in asked.items() if done.returncode == SSH_FAILED
    ]
    found += [
        f"{host.name}: hostctl is not there any more, though the state says so. Where the host was reinstalled: 'make "
        f"reinstalled STACK={stack.name} HOST={host.name}', and do this again"
        for host, done in asked.items()
        if done.returncode not in (0, SSH_FAILED)
    ]
    known = {name for each in tier.hosts for name in (each.name, each.was)}
    found += [
        f"{name}: is in the state, but not in the stack's file any more. Where it still runs, 'up' takes back what is "
        f"there; where it is gone for good: 'make forget STACK={stack.name} HOST={name}'"
        for name in hosts_of(deployment)
        if name not in known
    ]
    return found
