"""A command on a host of a stack, by the `ssh` program: with the agent's keys, and only if the host's key is known."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ops.stack import Stack
from settings.tier import Host


def on_host(
    stack: Stack, host: Host, known_hosts: Path, command: str, stdin: str | None = None, limit: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a shell command as root. Raises subprocess.TimeoutExpired after `limit` seconds."""
    ssh = host.ssh
    return subprocess.run(
        [
            "ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "StrictHostKeyChecking=yes",
            "-o", f"UserKnownHostsFile={known_hosts}",
            "-p", str(ssh.port), f"root@{ssh.host or host.address}",
            command,
        ],
        env={**os.environ, **stack.environment},
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        text=True,
        capture_output=True,
        check=False,
        timeout=limit,
    )  # fmt: skip
