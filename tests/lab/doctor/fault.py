"""What a fault is: how to break a host, which cause doctor must name for it, and how it is healed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

PRELUDE = Path(__file__).with_name("prelude.sh").read_text()


@dataclass(frozen=True)
class Fault:
    """One way to break something. Scripts are for `sh`."""

    cause: str
    name: str
    """What is broken, for the table."""
    host: str
    """Where doctor must find it; `controller` for what no host is asked for."""
    breaks: str = ""
    undo: str = "true"
    """Leaves nothing of it behind, whatever has happened; where it was broken."""
    at: str = ""
    """Where it is broken, if not on `host`."""
    found: Literal["host", "clients"] = "host"
    """`clients`: it is found on every host that pulls, and `host` is only where it is broken."""
    image: str = ""
    """What doctor is asked for, and then on `host` alone; empty: all that the settings serve, on all hosts."""
    heals: str = ""
    """What somebody does whose commands doctor can't know, where it was broken; empty: the finding's own commands."""
    editor: str = ""
    """What somebody does in the editor that a command opens; the file is $1."""
    instead: str = ""
    """What is asked for once it is healed, where it was the image that was wrong."""

    @property
    def broken_on(self) -> str:
        """The host whose state changes."""
        return self.at or self.host


Wave = list[Fault]
"""Faults that are there at the same time and don't touch each other."""


def waves(file: Path, names: Mapping[str, str] | None = None) -> list[Wave]:
    """Those of a file, with `names` in place of what stands for them there."""
    text = file.read_text()
    for stands_there, name in (names or {}).items():
        text = text.replace(stands_there, name)
    return [[Fault(**each) for each in wave] for wave in yaml.safe_load(text)["waves"]]
