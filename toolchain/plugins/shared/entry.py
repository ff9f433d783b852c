"""The start of an installed plugin, which every command waits for."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

BARE = ("pulumi", "pulumi.runtime", "pulumi.runtime.proto")
"""Packages of which a plugin needs modules, and not what their own `__init__` imports."""


def run(name: str) -> None:
    """Serve the plugin `name`, then end at once: an interpreter that tidies up first takes another 0.1 s."""
    without_sdk()
    import_module(f"toolchain.plugins.{name}.plugin").main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def without_sdk() -> None:
    """Let the engine's messages be imported without the SDK around them, which takes twice as long as all the rest.

    For this process alone: `import pulumi` gives an empty package afterwards.
    """
    spec = find_spec(BARE[0])
    if spec is None or not spec.submodule_search_locations:
        return
    folders = list(spec.submodule_search_locations)
    for package in BARE:
        bare = ModuleType(package)
        bare.__path__ = [str(Path(folder, *package.split(".")[1:])) for folder in folders]
        sys.modules[package] = bare
