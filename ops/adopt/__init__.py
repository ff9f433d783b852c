"""`make adopt`: reads hosts that were configured by hand, and proposes the settings of a stack that say the same."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from hostctl.whole_file import write_whole
from lab.paths import work_dir
from ops import ssh_agent
from ops.adopt.findings import Machine, named
from ops.adopt.proposal import propose
from ops.adopt.text import lines
from ops.checkpoint import PROJECT_NAME
from ops.diagnosis import SSH_FAILED
from ops.from_memory import FromMemory
from ops.ssh import on_host
from ops.stack import LAB, PROJECT, Stack, StackError
from ops.stack_file import plain_settings
from settings.pieces import Pieces
from settings.tier import Host, Ssh
from settings.values import is_ip_address

PROGRAM = FromMemory("adopt")
LIMIT = 60.0
"""Seconds that a host has to answer."""


def adopt(names: Sequence[str], stack: str) -> None:
    """Print the proposal for hosts: names of the stack's file, where there is one, or addresses. Raises StackError."""
    if not names:
        raise StackError("HOST= is missing: addresses of hosts, or names in the stack's file, blanks between them")
    base, others = _file(stack)
    with _reaching(stack, base) as (chosen, known_hosts):
        hosts = [_host(each, base) for each in names]
        with ThreadPoolExecutor(len(hosts)) as pool:
            machines = list(pool.map(lambda each: _machine(chosen, each, known_hosts(each)), hosts))
    for line in lines(propose(machines, base, stack), PROJECT_NAME, stack, others):
        print(line, flush=True)


def read_host(stack: Stack, host: Host, known_hosts: Path) -> dict[str, Any]:
    """What `adopt` tells of a host. Raises StackError where it can't be asked."""
    try:
        done = on_host(stack, host, known_hosts, PROGRAM.command, PROGRAM.stdin("{}"), LIMIT)
    except subprocess.TimeoutExpired:
        raise StackError(f"{host.name}: no answer within {LIMIT:g} s") from None
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        hint = "; root must be let in by a key of the SSH agent, and the host's key be known"
        raise StackError(
            f"{host.name}: can't be asked: {last}{hint if done.returncode == SSH_FAILED else ''}"
        ) from None
    return report


def _file(stack: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The stack's settings in clear, and all else in its file; empty where there is none."""
    path = PROJECT / "stacks" / f"Pulumi.{stack}.yaml"
    if not path.exists():
        return {}, {}
    whole = yaml.safe_load(path.read_text()) or {}
    base = plain_settings(stack)
    hidden = {key: each for key, each in whole.get("config", {}).items() if key.partition(":")[2] not in base}
    return base, {**whole, "config": hidden}


def _host(name: str, base: Mapping[str, Any]) -> Host:
    """The host of a name in the stack's file, or one to which an address leads."""
    known = [each for _, each in Pieces(base).hosts]
    for each in known:
        if name in (each.name, each.address):
            return each
    if not re.fullmatch(r"[A-Za-z0-9.:-]+", name):
        raise StackError(f"HOST={name}: must be a host's name in the stack's file, a name that resolves, or an address")
    return Host(name=named(name.partition(".")[0] if not is_ip_address(name) else name, set()), address=name.lower())


@contextmanager
def _reaching(stack: str, base: Mapping[str, Any]) -> Iterator[Any]:
    """How hosts are logged in to: with the agent's keys, the lab's with its own; and where their keys are known."""
    chosen = Stack(stack, dict(os.environ))
    file = PROJECT / ".work" / f"known_hosts.{stack}.adopt"

    def known_hosts(host: Host) -> Path:
        if host not in [each for _, each in Pieces(base).hosts]:
            return Path.home() / ".ssh" / "known_hosts"
        return file

    file.parent.mkdir(exist_ok=True)
    write_whole(file, _keys(base).encode())
    if stack != LAB:
        yield chosen, known_hosts
        return
    with ssh_agent.holding(work_dir() / "id_ed25519") as socket:
        chosen.environment["SSH_AUTH_SOCK"] = socket
        yield chosen, known_hosts


def _keys(base: Mapping[str, Any]) -> str:
    """The hosts' keys that the stack's file has, as ssh reads them."""
    given = base.get("known_hosts")
    texts = [(PROJECT / given).read_text()] if isinstance(given, str) and (PROJECT / given).exists() else []
    for _, each in Pieces(base).hosts:
        if each.ssh.host_key:
            where = each.ssh.host or each.address
            texts.append(f"[{where}]:{each.ssh.port} {each.ssh.host_key}\n{where} {each.ssh.host_key}\n")
    return "\n".join(texts)


def _machine(stack: Stack, host: Host, known_hosts: Path) -> Machine:
    print(f"# reading {host.name} ({host.ssh.host or host.address})", file=sys.stderr, flush=True)
    report = read_host(stack, host, known_hosts)
    entry: dict[str, Any] = {"name": host.name, "address": host.address}
    if host.ssh == Ssh() and (key := _known_key(host.address)):
        entry["ssh"] = {"host_key": key}
    return Machine(host.name, host.address, entry, report)


def _known_key(address: str) -> str:
    """The host's key that the admin's own known_hosts has."""
    found = subprocess.run(["ssh-keygen", "-F", address], capture_output=True, text=True, check=False).stdout
    keys = [line.split() for line in found.splitlines() if line and not line.startswith("#")]
    listed = [f"{words[1]} {words[2]}" for words in keys if len(words) > 2]
    order = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
    usable = [each for kind in order for each in listed if each.startswith(f"{kind} ")]
    return usable[0] if usable else ""
