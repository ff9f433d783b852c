"""Made once, found again: folders named by the hash of what they were made from."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from lab.paths import cache_dir
from toolchain.locking import locked


def digest(inputs: Iterable[str | Path]) -> str:
    """A short hash over texts and the contents of files, in the order given."""
    total = hashlib.sha256()
    for item in inputs:
        content = item.read_bytes() if isinstance(item, Path) else item.encode()
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()[:16]


def entry(name: str, inputs: Iterable[str | Path]) -> Path:
    """The folder that holds, or will hold, `name` made from `inputs` on a machine like this one."""
    # Not on x86_64: what other checkouts have in this cache keeps its names.
    machine = [] if platform.machine() == "x86_64" else [platform.machine()]
    return cache_dir() / f"{name}-{digest([*inputs, *machine])}"


def cached(target: Path, build: Callable[[Path], None]) -> Path:
    """`target`, filled by `build` in a folder beside it and renamed when complete; by one process at a time."""
    if target.is_dir():
        return target
    with locked(target.with_name(f"{target.name}.lock"), f"it is making {target.name}", sys.stdout):
        if not target.is_dir():
            for left in target.parent.glob(f".{target.name}-*"):
                shutil.rmtree(left, ignore_errors=True)
            beside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
            try:
                build(beside)
                beside.chmod(0o755)
                beside.rename(target)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
    return target


def place(source: Path, target: Path) -> None:
    """`source` at `target`, as a link to the same file where the file system allows it, else as a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        ours, wanted = target.stat(), source.stat()
        if target.samefile(source) or (ours.st_size, ours.st_mtime) == (wanted.st_size, wanted.st_mtime):
            return
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    try:
        os.link(source, beside)
    except OSError:
        shutil.copy2(source, beside)
    os.replace(beside, target)
