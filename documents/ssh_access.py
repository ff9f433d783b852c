"""The line of authorized_keys that lets a stack in (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PATH = "~root/.ssh/authorized_keys"
"""Where it is shown; the host's sshd says where it stands."""


@dataclass(frozen=True)
class SshAccess:
    """`public_key`: `type base64`. `stack`: `project/stack`, by which the line is known as its own.
    `confirm_seconds`: how long a changed line is there unless a connection confirms it.
    """

    public_key: str
    stack: str
    confirm_seconds: int

    @property
    def line(self) -> str:
        """The line, without its end."""
        return f"{self.public_key} http-registry {self.stack}"

    @property
    def documents(self) -> dict[str, str]:
        """Our part of the file, by its path."""
        return {PATH: f"{self.line}\n"}

    def wish(self) -> dict[str, Any]:
        """What hostctl is asked for."""
        return {"line": self.line, "confirm_seconds": self.confirm_seconds}
