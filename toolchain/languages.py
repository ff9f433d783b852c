"""What a program in another language needs besides the engine, for those who have no official one: built on demand."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TextIO

from toolchain.build import Binary, go_build, once
from toolchain.errors import EngineError
from toolchain.golang import go_environment
from toolchain.paths import Paths, paths

PROGRAMS: Final = {
    each.module: each
    for each in (
        Binary("pulumi-language-yaml", "language-yaml", "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml"),
        Binary("gen-sdk", "gen-sdk", "."),
    )
}
"""The language host of YAML programs, and the generator of SDKs, which the old Python language host lacks: by their
folders below `toolchain/go`."""


def built_program(module: str, environment: Mapping[str, str] | None = None, out: TextIO | None = None) -> Path:
    """One of PROGRAMS, built if it isn't there. Raises EngineError."""
    if module not in PROGRAMS:
        raise EngineError(f"there is no program {module}; choose one of {', '.join(sorted(PROGRAMS))}")
    stream = sys.stderr if out is None else out
    places, binary = paths(os.environ if environment is None else environment), PROGRAMS[module]
    ready = places.cache / f"{module}-{_hash(places, binary)}"

    def build(partial: Path) -> None:
        go_build(places.go / module, binary, partial / binary.name, go_environment(places.cache), stream)

    once(ready, f"{binary.name} is being built", stream, build)
    return ready / binary.name


def _hash(places: Paths, binary: Binary) -> str:
    digest = hashlib.sha256(repr((binary, platform.system(), platform.machine())).encode())
    for file in sorted((places.go / binary.module).iterdir()):
        digest.update(f"{file.name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]
