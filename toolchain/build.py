"""Builds `pulumi` and its Python language host from Go modules, into a folder named by what went in.

The modules, versions and checksums are in `go/*/go.mod` and `go.sum`. The language host is of an older
release, when it still was a part of `sdk/v3`: later ones are a module of their own that Go proxies don't have.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from toolchain.errors import EngineError
from toolchain.golang import go_environment, go_missing, go_needed, in_go_mod
from toolchain.locking import locked
from toolchain.paths import Paths
from toolchain.progress import Progress

SDK: Final = "github.com/pulumi/pulumi/sdk/v3"
MARKER: Final = "built-by-http-registry"
"""A file in each engine folder: this `pulumi` is ours, not the official one."""
TAIL_LINES: Final = 25


@dataclass(frozen=True)
class Binary:
    """One program to build."""

    name: str
    module: str
    """Its folder below `toolchain/go`."""
    package: str
    stamps_version: bool = False
    """Whether the version has to be linked in: `pulumi version` is empty without."""


BINARIES: Final = (
    Binary("pulumi", "cli", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", stamps_version=True),
    Binary("pulumi-language-python", "language-python", f"{SDK}/python/cmd/pulumi-language-python"),
)
EXEC_SCRIPT: Final = "pulumi-language-python-exec"
"""Runs a program for the language host; a file of the engine's own SDK version, beside the binaries."""


def pinned_version(module: Path) -> str:
    """The version of `sdk/v3` that `module/go.mod` requires."""
    return in_go_mod(module, rf"^\s*(?:require )?{re.escape(SDK)} (v\S+)")


def engine_hash(go: Path) -> str:
    """Names all that decides what comes out: every pinned file, the packages and the platform."""
    digest = hashlib.sha256(repr((BINARIES, EXEC_SCRIPT, platform.system(), platform.machine())).encode())
    pinned = (go / binary.module / file for binary in BINARIES for file in ("go.mod", "go.sum", "tools.go"))
    for file in pinned:
        digest.update(f"{file.relative_to(go)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def is_ours(pulumi: Path) -> bool:
    """Whether this `pulumi` was built here."""
    return (pulumi.resolve().parent.parent / MARKER).exists()


def built_engine(places: Paths, out: TextIO) -> Path:
    """The folder of the built binaries; builds them if they aren't there."""
    ready = places.cache / f"engine-{engine_hash(places.go)}"
    once(ready, "the engine is being built", out, lambda partial: _build(places.go, partial, ready.parent, out))
    return ready / "bin"


def once(ready: Path, what: str, out: TextIO, build: Callable[[Path], None]) -> None:
    """Have the folder `ready`, built by one process if it isn't there.

    Built beside and renamed, so a killed build leaves nothing that looks complete. The folder that `build` is given is
    of this build alone: the `go` of a killed one may still be writing into its own.
    """
    if ready.is_dir():
        return
    with locked(ready.with_name(f"{ready.name}.lock"), what, out):
        if not ready.is_dir():
            for left in ready.parent.glob(f"{ready.name}.partial-*"):
                shutil.rmtree(left, ignore_errors=True)
            partial = Path(tempfile.mkdtemp(prefix=f"{ready.name}.partial-", dir=ready.parent))
            try:
                build(partial)
                partial.chmod(0o755)
                partial.rename(ready)
            finally:
                shutil.rmtree(partial, ignore_errors=True)


def _build(go: Path, partial: Path, cache: Path, out: TextIO) -> None:
    environment = go_environment(cache)
    binaries = partial / "bin"
    binaries.mkdir(parents=True)
    for binary in BINARIES:
        go_build(go / binary.module, binary, binaries / binary.name, environment, out)
    listed = subprocess.run(
        ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", SDK],
        cwd=go / "cli",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        raise EngineError(f"`go list -m {SDK}` failed in {go / 'cli'}:\n{listed.stderr}")
    script = binaries / EXEC_SCRIPT
    shutil.copyfile(Path(listed.stdout.strip()) / "python" / "cmd" / EXEC_SCRIPT, script)
    script.chmod(0o755)
    (partial / MARKER).write_text("built from toolchain/go by http-registry; safe to delete\n")


def go_build(module: Path, binary: Binary, target: Path, environment: Mapping[str, str], out: TextIO) -> None:
    """Build one program. Raises EngineError that says what to do."""
    missing = go_missing(module, environment)
    if missing:
        raise EngineError(
            f"no usable official `pulumi` is on PATH, and {missing}; install Pulumi "
            f"(https://www.pulumi.com/docs/install), or Go {go_needed(module)} or newer to build it from Go modules"
        )
    version = pinned_version(module)
    command = ["go", "build", "-mod=readonly", "-buildvcs=false", "-v"]
    if binary.stamps_version:
        command += ["-ldflags", f"-X {SDK}/go/common/version.Version={version}"]
    command += ["-o", str(target), binary.package]
    what = f"building {binary.name} {version} from Go modules (once; about 5 minutes on 2 cores)"
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    compiled = 0
    with Progress(what if binary.stamps_version else what.split(" (")[0], out) as progress:
        process = subprocess.Popen(
            command,
            cwd=module,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process, process.stdout or open(os.devnull) as lines:
            for line in lines:
                tail.append(line)
                compiled += not line.startswith("go: ")
                progress.note(line.strip() if line.startswith("go: ") else f"{compiled} packages compiled")
        if process.returncode:
            raise EngineError(
                f"`{' '.join(command)}` failed in {module}:\n{''.join(tail)}"
                "Check that the Go proxy (`go env GOPROXY`) can be reached and that the disk isn't full; "
                "the next run goes on from what was compiled."
            )
