"""Made once, found again: folders named by the hash of what they were made from."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from lab.paths import cache_dir


def digest(inputs: Iterable[str | Path]) -> str:
    """A short hash over texts and the contents of files, in the order given."""
    total = hashlib.sha256()
    for item in inputs:
        content = item.read_bytes() if isinstance(item, Path) else item.encode()
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()[:16]


def entry(name: str, inputs: Iterable[str | Path]) -> Path:
    """The folder that holds, or will hold, `name` made from `inputs`."""
    return cache_dir() / f"{name}-{digest(inputs)}"


def cached(target: Path, build: Callable[[Path], None]) -> Path:
    """`target`, filled by `build` in a folder beside it and renamed when complete."""
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        build(beside)
        beside.chmod(0o755)
        beside.rename(target)
    except OSError:
        if not target.is_dir():
            raise
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
