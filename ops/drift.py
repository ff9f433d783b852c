"""What somebody has changed on the hosts of a stack, asked of all of them at once and written into the state."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from hostctl import PYTHON
from ops.checkpoint import PROJECT_NAME
from ops.configuration import tier_of, write_known_hosts
from ops.diagnosis import SSH_FAILED, remedy
from ops.drift_marks import Drift, Place, is_drift, places, wanted, with_drift
from ops.drift_table import show
from ops.ssh import on_host
from ops.stack import Stack, StackError
from settings.tier import Host

LIMIT = 10.0
"""Seconds that a host has to answer."""
NO_RECORD = "hostctl knows nothing of it on this host"


class Silent(Exception):
    """A host could not be asked; the text says why."""


@dataclass
class Seen:
    """What the hosts have said: drift by host and unit, and why others have said nothing."""

    found: dict[str, dict[str, Drift]] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)

    @property
    def drifted(self) -> bool:
        """Whether anything has drifted."""
        return any(is_drift(each) for units in self.found.values() for each in units.values())


def refresh_drift(stack: Stack) -> Seen:
    """Ask every host of the state, print what has drifted, and write it into the state where that changes it."""
    state = stack.state()
    deployment = state["deployment"]
    seen = ask(stack, places(deployment))
    for host, why in seen.silent.items():
        print(f"{host}: can't be asked: {why}", flush=True)
    if seen.drifted:
        show(seen.found, wanted(deployment))
    marked = with_drift(deployment, seen.found, f"{PROJECT_NAME}/{stack.name}")
    if marked != deployment:
        if stack.state() != state:
            raise StackError(f"{stack.name}: its state has changed while the hosts were asked; do it again")
        stack.import_state({**state, "deployment": marked})
    asked = f"{len(seen.found)} host{'' if len(seen.found) == 1 else 's'} asked"
    if seen.drifted:
        print(f"{asked}: the state knows it now; preview shows it, up repairs it.", flush=True)
    else:
        print(f"{asked}: no drift.", flush=True)
    return seen


def ask(stack: Stack, units: Sequence[Place]) -> Seen:
    """Ask all hosts at once for their units' drift."""
    seen = Seen()
    if not units:
        return seen
    tier = tier_of(stack.name)
    known = {name: each for each in tier.hosts for name in (each.was, each.name) if name}
    known_hosts = write_known_hosts(stack.name)

    def answer(name: str) -> dict[str, Drift]:
        if name not in known:
            raise Silent("is in the state, but no longer in the settings")
        own = [each for each in units if each.host == name]
        return _asked(stack, known[name], name, known_hosts, own)

    names = list(dict.fromkeys(each.host for each in units))
    with ThreadPoolExecutor(len(names)) as pool:
        answers = {name: pool.submit(answer, name) for name in names}
    for name, given in answers.items():
        try:
            seen.found[name] = given.result()
        except Silent as why:
            seen.silent[name] = str(why)
    return seen


def _asked(stack: Stack, host: Host, name: str, known_hosts: Path, units: Sequence[Place]) -> dict[str, Drift]:
    """The drift of one host's units; `name`: the host's in the state. Raises Silent where it does not tell."""
    request = json.dumps({"owner": f"{PROJECT_NAME}/{stack.name}/{name}"})
    try:
        done = on_host(stack, host, known_hosts, f"{PYTHON} {units[0].program} drift", request, LIMIT)
    except subprocess.TimeoutExpired:
        raise Silent(f"no answer within {LIMIT:g} s") from None
    if done.returncode == SSH_FAILED:
        raise Silent(remedy(stack.name, host.name, done.stderr).partition(": ")[2])
    try:
        told = json.loads(done.stdout)
    except ValueError:
        raise Silent(done.stderr.strip() or f"exit status {done.returncode}") from None
    if done.returncode != 0:
        raise Silent(told["error"])
    return {each.unit: told["units"].get(each.unit, {"files": {}, "live": NO_RECORD}) for each in units}
