"""A file that a renderer made, on its way to a host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hostctl.unit import HEADER

HEADER_LINE = f"# {HEADER}\n"
"""The first line of every file that is ours alone, for formats whose comments start with #."""


@dataclass(frozen=True)
class Document:
    """A file's place on the host, its text and its permission bits."""

    path: str
    text: str
    mode: int = 0o644

    def as_wish(self) -> dict[str, Any]:
        """The file as a hostctl wish holds it."""
        return {"path": self.path, "content": self.text, "mode": self.mode}
