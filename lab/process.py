"""Running other programs, with errors that say what failed and what to do."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class LabError(Exception):
    """A failure for a person to read: what failed, and what to do."""


def run(
    command: Sequence[str],
    *,
    what: str,
    remedy: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> str:
    """Run a command and return its stdout. `what` names the step in the error's first line."""
    try:
        done = subprocess.run(
            command,
            check=False,
            env=env,
            cwd=cwd,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except FileNotFoundError as error:
        raise LabError(f"{what}: the program {command[0]} is missing. {remedy}".rstrip()) from error
    except subprocess.TimeoutExpired as error:
        message = f"{what}: no end after {timeout:.0f} s: {' '.join(command)}. {remedy}"
        raise LabError(message.rstrip()) from error
    if done.returncode:
        said = "\n  ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-12:])
        head = f"{what} failed (exit {done.returncode}): {' '.join(command)[:300]}"
        raise LabError("\n".join(part for part in (head, f"  {said}" if said else "", remedy) if part))
    return done.stdout


def succeeds(command: Sequence[str], env: Mapping[str, str] | None = None) -> bool:
    """Whether the command exits 0; its output is dropped."""
    try:
        done = subprocess.run(command, check=False, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
