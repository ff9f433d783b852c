"""One stack as the commands see it: which backend, which passphrase, which keys."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lab
from lab.paths import work_dir
from ops import ssh_agent
from ops.checkpoint import PROJECT_NAME, exists, mend
from ops.many_hosts import ONCE
from toolchain.engine import engine_environment, ensure_engine

PROJECT = Path(__file__).absolute().parent.parent
"""Not resolved: a folder of links to this checkout's code, with stacks of its own, is a project of its own."""
NOTHING: Mapping[str, str] = {}
LAB = "lab"
LAB_STATE = PROJECT / ".work" / "state"
LAB_PASSPHRASE = PROJECT / "lab" / "passphrase"


CHANGING = ("up", "destroy", "refresh")
"""The commands that hold the stack's lock."""


class StackError(Exception):
    """A command can't go on; the text says why and what to do."""


@dataclass(frozen=True)
class Stack:
    """A stack that has been selected, and the environment in which pulumi works on it."""

    name: str
    environment: dict[str, str]

    @property
    def backend(self) -> str:
        """The URL of the backend; empty where pulumi's own login decides."""
        return self.environment.get("PULUMI_BACKEND_URL", "")

    def pulumi(self, *arguments: str, quiet: bool = False, stdin: str | None = None) -> str:
        """Run pulumi on this stack. Raises StackError where it fails; with `quiet` its output is returned."""
        whole = (*arguments, "--stack", self.name, "--non-interactive")
        status, output, errors = self._run(*whole, quiet=quiet, stdin=stdin)
        if status != 0:
            detail = f":\n{errors}" if quiet else f"; its output above says why (exit status {status})"
            raise StackError(f"pulumi {arguments[0]} failed{detail}")
        return output

    def run(self, *arguments: str, environment: Mapping[str, str]) -> tuple[int, str, str]:
        """Run pulumi on this stack with more in its environment; returns exit status, output and errors."""
        whole = (*arguments, "--stack", self.name, "--non-interactive")
        return self._run(*whole, quiet=True, environment=environment)

    def refused(self, *arguments: str) -> str:
        """Why pulumi refuses to do this on the stack; empty where it does it."""
        status, _, errors = self._run(*arguments, "--stack", self.name, "--non-interactive", quiet=True)
        return errors if status else ""

    def started(self) -> int | None:
        """The process number of the pulumi that this checkout has last started to change the stack, until it ends."""
        try:
            return int(self._trace.read_text())
        except (FileNotFoundError, ValueError):
            return None

    @property
    def _trace(self) -> Path:
        return PROJECT / ".work" / f"pulumi.{self.name}.pid"

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets masked."""
        loaded: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json", quiet=True))
        return loaded

    def state(self, *, secrets: bool = False) -> dict[str, Any]:
        """The whole state; `secrets`: whether they are in clear."""
        shown = ["--show-secrets"] if secrets else []
        loaded: dict[str, Any] = json.loads(self.pulumi("stack", "export", *shown, quiet=True))
        return loaded

    def import_state(self, state: dict[str, Any]) -> None:
        """Replace the state by one in the form that `state` gives."""
        self.pulumi("stack", "import", quiet=True, stdin=json.dumps(state))

    def secrets(self) -> dict[str, str]:
        """What is set in the stack's configuration and is text, by key, secrets in clear."""
        listed = json.loads(self.pulumi("config", "--json", "--show-secrets", quiet=True))
        prefix = f"{PROJECT_NAME}:"
        return {key.removeprefix(prefix): each["value"] for key, each in listed.items() if "value" in each}

    def set_secret(self, key: str, value: str) -> None:
        """Set a secret, on pulumi's standard input."""
        self.pulumi("config", "set", "--secret", f"{PROJECT_NAME}:{key}", quiet=True, stdin=value)

    def make(self) -> None:
        """Make the stack in its backend if it isn't there, and readable if a crash has left it otherwise.

        Raises StackError where the backend can't be reached.
        """
        mend(self.backend, self.name)
        if exists(self.backend, self.name):
            return
        status, listed, errors = self._run("stack", "ls", "--json", quiet=True)
        if status != 0:
            raise StackError(f"pulumi can't reach its backend; set PULUMI_BACKEND_URL or 'pulumi login':\n{errors}")
        if not any(each["name"] == self.name for each in json.loads(listed)):
            self.pulumi("stack", "init", "--no-select", quiet=True)

    def _run(
        self, *arguments: str, quiet: bool, stdin: str | None = None, environment: Mapping[str, str] = NOTHING
    ) -> tuple[int, str, str]:
        """Exit status, output and errors; the last two are empty unless `quiet`.

        Ctrl-C reaches pulumi as well, which then ends in order; so we wait for it.
        """
        pipe = subprocess.PIPE if quiet else None
        # A preview would make the text of the whole state for each resource, and write none of them.
        once = ONCE if arguments[0] == "preview" else NOTHING
        process = subprocess.Popen(
            ["pulumi", *arguments],
            cwd=PROJECT,
            env={**self.environment, **once, **environment},
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        if changes := arguments[0] in CHANGING or arguments[:2] == ("stack", "import"):
            self._trace.parent.mkdir(exist_ok=True)
            self._trace.write_text(str(process.pid))
        while True:
            try:
                output, errors = process.communicate(stdin)
            except KeyboardInterrupt:
                continue
            if changes and process.returncode >= 0:  # else it was killed, and its lock stays
                self._trace.unlink(missing_ok=True)
            return process.returncode, output or "", errors or ""


@contextmanager
def selected(name: str, *, asks_hosts: bool = True) -> Iterator[Stack]:
    """The stack of that name, made if it isn't there. The lab's brings its backend, passphrase and SSH key along.

    `asks_hosts`: False for a command that does not: the lab may be down then, and its state is left as it is.
    """
    if not (PROJECT / "stacks" / f"Pulumi.{name}.yaml").exists():
        known = sorted(path.stem.removeprefix("Pulumi.") for path in (PROJECT / "stacks").glob("Pulumi.*.yaml"))
        raise StackError(f"STACK={name}: there is no stacks/Pulumi.{name}.yaml; there are: {', '.join(known)}")
    engine = ensure_engine()
    print(engine.line(), flush=True)
    environment = engine_environment(engine)
    if name != LAB:
        stack = Stack(name, environment)
        stack.make()
        yield stack
        return
    missing = [file for file in ("id_ed25519", "known_hosts", "registry.tar") if not (work_dir() / file).exists()]
    if missing:
        raise StackError("the lab has not been started from this checkout yet; start it: lab/up (or make up)")
    if asks_hosts:
        _forget_state_of_another_lab()
    LAB_STATE.mkdir(parents=True, exist_ok=True)
    environment["PULUMI_BACKEND_URL"] = f"file://{LAB_STATE}"
    environment["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(LAB_PASSPHRASE)
    environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
    with ExitStack() as until_done:
        if asks_hosts:
            environment["SSH_AUTH_SOCK"] = until_done.enter_context(ssh_agent.holding(work_dir() / "id_ed25519"))
        stack = Stack(name, environment)
        stack.make()
        yield stack


def _forget_state_of_another_lab() -> None:
    """A state describes the hosts that it was made on; other hosts need a new one. The last old one is kept beside."""
    current = lab.lab_id()
    mark = LAB_STATE / "lab-id"
    if LAB_STATE.exists() and (not mark.exists() or mark.read_text() != current):
        why = "The lab's hosts are new" if current else "The lab is down, and its hosts are gone"
        print(f"{why}: starting with an empty state.", flush=True)
        old = LAB_STATE.with_name("state-of-old-lab")
        shutil.rmtree(old, ignore_errors=True)
        LAB_STATE.rename(old)
    LAB_STATE.mkdir(parents=True, exist_ok=True)
    mark.write_text(current)
