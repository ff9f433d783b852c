"""Where the engine's parts live. Only the cache can be moved, by $HTTP_REGISTRY_CACHE."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Paths:
    """The folders that the toolchain reads and writes."""

    checkout: Path
    cache: Path
    """Binaries, which another checkout can use as well, in folders named by what they were built from."""
    user_home: Path
    """The Pulumi home of the official engine; the offline engine never touches it."""
    venv_bin: Path
    """Holds the python that runs the program; the language host takes the first one on PATH."""

    @property
    def go(self) -> Path:
        """The pinned Go modules."""
        return self.checkout / "toolchain" / "go"

    @property
    def plugins(self) -> Path:
        """The sources of the offline plugins."""
        return self.checkout / "toolchain" / "plugins"

    @property
    def pulumi_home(self) -> Path:
        """The Pulumi home of the offline engine, this checkout's own."""
        return self.checkout / ".work" / "pulumi-home"


def paths(environment: Mapping[str, str] | None = None) -> Paths:
    """The folders for `environment` (this process's by default)."""
    env = os.environ if environment is None else environment
    own_home = CHECKOUT / ".work" / "pulumi-home"
    user_home = Path(env.get("PULUMI_HOME") or Path.home() / ".pulumi")
    return Paths(
        checkout=CHECKOUT,
        cache=Path(env.get("HTTP_REGISTRY_CACHE") or Path.home() / ".cache" / "http-registry"),
        user_home=Path.home() / ".pulumi" if user_home == own_home else user_home,
        venv_bin=Path(sys.executable).parent,
    )
