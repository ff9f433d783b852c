"""The `go` on PATH, for everything that is built from pinned Go modules: the engine, and the lab's programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from toolchain.errors import EngineError


def in_go_mod(module: Path, pattern: str) -> str:
    """The first group of `pattern` in the module's go.mod."""
    file = module / "go.mod"
    found = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise EngineError(f"{file} has no line like {pattern}; restore the file from git")
    return found[1]


def go_needed(module: Path) -> str:
    """The oldest Go that builds `module`."""
    return in_go_mod(module, r"^go ([0-9.]+)")


def go_environment(cache: Path) -> dict[str, str]:
    """This process's environment for `go`: no workspace around a module counts.

    Without $HOME `go` doesn't know where its modules and its build cache are; then they are below `cache`.
    """
    homeless = {} if os.environ.get("HOME") else {"GOPATH": cache / "go", "GOCACHE": cache / "go-build"}
    folders = {name: str(folder.absolute()) for name, folder in homeless.items() if not os.environ.get(name)}
    return {**os.environ, **folders, "GOWORK": "off"}


def go_missing(module: Path, environment: Mapping[str, str]) -> str | None:
    """Why `go` can't build `module`: it isn't there, or it is too old to read go.mod. None when it can."""
    if shutil.which("go", path=environment.get("PATH")) is None:
        return "`go` isn't on PATH"
    listed = subprocess.run(
        ["go", "list", "-m"], cwd=module, env=environment, capture_output=True, text=True, check=False
    )
    return f"`go list -m` failed in {module}: {listed.stderr.strip()}" if listed.returncode else None
