"""One stack as the commands see it: which backend, which passphrase, which keys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lab
from ops import ssh_agent
from toolchain.engine import engine_environment

PROJECT = Path(__file__).resolve().parent.parent
LAB = "lab"
LAB_STATE = PROJECT / ".work" / "state"
LAB_PASSPHRASE = PROJECT / "lab" / "passphrase"


class StackError(Exception):
    """A command can't go on; the text says why and what to do."""


@dataclass(frozen=True)
class Stack:
    """A stack that has been selected, and the environment in which pulumi works on it."""

    name: str
    environment: dict[str, str]

    def pulumi(
        self, *arguments: str, quiet: bool = False, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run pulumi on this stack. Raises StackError where it fails; with `quiet` its output is captured."""
        done = subprocess.run(
            ["pulumi", *arguments, "--stack", self.name, "--non-interactive"],
            cwd=PROJECT,
            env=self.environment,
            input=stdin,
            text=True,
            capture_output=quiet,
            check=False,
        )
        if done.returncode != 0:
            detail = f":\n{done.stderr}" if quiet else f"; its output above says why (exit status {done.returncode})"
            raise StackError(f"pulumi {arguments[0]} failed{detail}")
        return done

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets masked."""
        loaded: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json", quiet=True).stdout)
        return loaded

    def state(self) -> dict[str, Any]:
        """The whole state, secrets encrypted."""
        loaded: dict[str, Any] = json.loads(self.pulumi("stack", "export", quiet=True).stdout)
        return loaded


@contextmanager
def selected(name: str) -> Iterator[Stack]:
    """The stack of that name, made if it isn't there. The lab's brings its backend, passphrase and SSH key along."""
    if not (PROJECT / "stacks" / f"Pulumi.{name}.yaml").exists():
        known = sorted(path.stem.removeprefix("Pulumi.") for path in (PROJECT / "stacks").glob("Pulumi.*.yaml"))
        raise StackError(f"STACK={name}: there is no stacks/Pulumi.{name}.yaml; there are: {', '.join(known)}")
    environment = {**os.environ, **engine_environment()}
    if name != LAB:
        yield _made(Stack(name, environment))
        return
    _forget_state_of_another_lab()
    LAB_STATE.mkdir(parents=True, exist_ok=True)
    environment["PULUMI_BACKEND_URL"] = f"file://{LAB_STATE}"
    environment["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(LAB_PASSPHRASE)
    environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
    with ssh_agent.holding(PROJECT / ".work" / "lab" / "id_ed25519") as socket:
        environment["SSH_AUTH_SOCK"] = socket
        yield _made(Stack(name, environment))


def _made(stack: Stack) -> Stack:
    if not _exists(stack):
        done = subprocess.run(
            ["pulumi", "stack", "init", stack.name, "--non-interactive", "--no-select"],
            cwd=PROJECT,
            env=stack.environment,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"pulumi stack init {stack.name} failed:\n{done.stderr}")
    return stack


def _exists(stack: Stack) -> bool:
    done = subprocess.run(
        ["pulumi", "stack", "ls", "--json"],
        cwd=PROJECT,
        env=stack.environment,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"pulumi can't reach its backend; set PULUMI_BACKEND_URL or 'pulumi login':\n{done.stderr}")
    return any(each["name"] == stack.name for each in json.loads(done.stdout))


def _forget_state_of_another_lab() -> None:
    """A state describes the hosts that it was made on; new hosts need a new one. The old is kept beside it."""
    current = lab.lab_id()
    mark = LAB_STATE / "lab-id"
    if LAB_STATE.exists() and (not mark.exists() or mark.read_text() != current):
        if any(LAB_STATE.iterdir()):
            print("The lab's hosts are new: starting with an empty state.", flush=True)
        shutil.move(LAB_STATE, LAB_STATE.with_name(f"state-of-old-lab-{uuid.uuid4().hex[:8]}"))
    LAB_STATE.mkdir(parents=True, exist_ok=True)
    mark.write_text(current)
