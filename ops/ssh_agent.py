"""An SSH agent for the length of one command, so that a private key enters neither the state nor a command line."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNTIL_WE_END = "cat > /dev/null; kill $SSH_AGENT_PID"
"""What the agent is started for: it lasts as long as our end of a pipe is open, so a killed command leaves none."""


@contextmanager
def holding(*keys: str | Path) -> Iterator[str]:
    """Run an agent that holds private keys, each a text in OpenSSH's form or the file of one.

    Yields its socket (for SSH_AUTH_SOCK) and ends it afterwards. A text is in no file meanwhile.
    """
    with tempfile.TemporaryDirectory(prefix="agent-") as folder:
        path = Path(folder, "socket")
        agent = subprocess.Popen(
            ["ssh-agent", "-a", str(path), "sh", "-c", UNTIL_WE_END],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for pulumi, which still needs the agent then
        )
        try:
            deadline = time.monotonic() + 5
            while not _listens(path) and time.monotonic() < deadline:
                time.sleep(0.02)
            for key in keys:
                text = key if isinstance(key, str) else key.read_text()
                environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
                subprocess.run(["ssh-add", "-q", "-"], input=text, text=True, env=environment, check=True)
            yield str(path)
        finally:
            assert agent.stdin is not None
            agent.stdin.close()
            agent.wait()


def _listens(path: Path) -> bool:
    """Whether the agent is there; its socket is a moment before it listens."""
    with socket.socket(socket.AF_UNIX) as tried:
        return tried.connect_ex(str(path)) == 0
