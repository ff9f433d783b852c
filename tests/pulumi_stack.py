"""A Pulumi stack of a test's own program, with its state in the test's folder."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain.engine import engine_environment, ensure_engine


@dataclass(frozen=True)
class Stack:
    """The stack `dev` in a folder; `secrets` must be in nothing that pulumi prints."""

    folder: Path
    environment: dict[str, str]
    secrets: tuple[str, ...] = ()

    def pulumi(self, *arguments: str, fails: bool = False) -> str:
        """Pulumi's whole output; a failure fails the test, and so does a success where it `fails`."""
        result = subprocess.run(
            ["pulumi", *arguments, "--stack", "dev", "--non-interactive", "--color", "never"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        text = result.stdout + result.stderr
        assert (result.returncode != 0) == fails, text
        assert not [secret for secret in self.secrets if secret in text]
        return text

    def up(self, fails: bool = False) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", fails=fails)

    def refresh(self) -> str:
        return self.pulumi("refresh", "--yes", "--skip-preview")

    def set(self, name: str, value: str, secret: bool = False) -> None:
        subprocess.run(
            ["pulumi", "config", "set", name, "--stack", "dev", "--secret" if secret else "--plaintext"],
            cwd=self.folder,
            env=self.environment,
            input=value,
            text=True,
            check=True,
            capture_output=True,
        )

    def state(self) -> dict[str, Any]:
        """Each resource of the state, by name."""
        exported = json.loads(self.pulumi("stack", "export"))
        return {item["urn"].split("::")[-1]: item for item in exported["deployment"]["resources"]}


QUIET = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
"""The engine interrupts the program of a stack that has failed: Python would print where it was."""


def new_stack(folder: Path, program: str, secrets: tuple[str, ...] = ()) -> Stack:
    """The stack `dev` of a program, not yet up; it knows no SSH agent."""
    (folder / "state").mkdir()
    (folder / "Pulumi.yaml").write_text("name: engine-test\nruntime: python\n")
    (folder / "__main__.py").write_text(QUIET + program)
    environment = {
        **engine_environment(ensure_engine()),
        "PULUMI_BACKEND_URL": f"file://{folder}/state",
        "PULUMI_CONFIG_PASSPHRASE": "test",
    }
    environment.pop("SSH_AUTH_SOCK", None)
    made = Stack(folder, environment, secrets)
    made.pulumi("stack", "init")
    return made
