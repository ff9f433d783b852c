"""A command on a host of a stack, by the `ssh` program: with the agent's keys, and only if the host's key is known."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ops.stack import Stack
from settings.tier import Host


def ssh(host: Host, known_hosts: Path, command: str) -> list[str]:
    """The command line that runs a shell command as root."""
    return [
        "ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "StrictHostKeyChecking=yes",
        "-o", f"UserKnownHostsFile={known_hosts}",
        "-p", str(host.ssh.port), f"root@{host.ssh.host or host.address}",
        command,
    ]  # fmt: skip


def environment(stack: Stack) -> dict[str, str]:
    """In which it finds the stack's keys."""
    return {**os.environ, **stack.environment}


def on_host(
    stack: Stack, host: Host, known_hosts: Path, command: str, stdin: str | None = None, limit: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a shell command as root. Raises subprocess.TimeoutExpired after `limit` seconds."""
    return subprocess.run(
        ssh(host, known_hosts, command),
        env=environment(stack),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        text=True,
        capture_output=True,
        check=False,
        timeout=limit,
    )
