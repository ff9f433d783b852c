"""An SSH agent for the length of one command, so that a private key enters neither the state nor a command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()
"""So that a killed command leaves no agent behind; util-linux has it."""


@contextmanager
def holding(key: Path) -> Iterator[str]:
    """Run an agent that holds `key`; yields its socket (for SSH_AUTH_SOCK) and ends it afterwards."""
    with tempfile.TemporaryDirectory(prefix="agent-") as folder:
        socket = Path(folder, "socket")
        agent = subprocess.Popen(
            [*ENDS_WITH_US, "ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + 5
            while not socket.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            subprocess.run(["ssh-add", "-q", str(key)], env={**os.environ, "SSH_AUTH_SOCK": str(socket)}, check=True)
            yield str(socket)
        finally:
            agent.terminate()
            agent.wait()
