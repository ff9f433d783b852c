"""A folder of backups: for each stack one folder, in it one for each backup, and the blobs that these share.

FOLDER/STACK/blobs/sha256/ab/abcd…/data     named by their digest
FOLDER/STACK/2026-11-27T113000Z/            one backup; only a whole one has this name
    backup.json                             what is in it, with sizes and SHA-256
    backup.json.sha256                      for `sha256sum --check`
    state.json                              `pulumi stack export`
    files/                                  the stack's own files, by their paths in the project
    registries/NAME.json                    a registry's links and blobs (backup_snapshot)
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.backup_snapshot import Snapshot
from ops.stack import StackError
from ops.volume_files import BLOB

FORMAT = 1
CONTENTS, DIGEST_FILE, STATE = "backup.json", "backup.json.sha256", "state.json"
FILES, REGISTRIES = "files", "registries"
NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z")
SHOWN = 5
"""How many of many wrong things are named."""


@dataclass(frozen=True)
class Backup:
    """One that has been checked."""

    folder: Path
    stack: str
    snapshots: Mapping[str, Snapshot]
    """By the registries' names."""
    names: tuple[str, ...]
    """The stack's own files, by their paths in the project."""

    @property
    def shared(self) -> Path:
        """Where the blobs are."""
        return self.folder.parent

    @property
    def state(self) -> dict[str, Any]:
        """As `pulumi stack export` gave it."""
        loaded: dict[str, Any] = json.loads((self.folder / STATE).read_text())
        return loaded

    def files(self) -> dict[str, bytes]:
        """The stack's files by their paths in the project."""
        return {name: (self.folder / FILES / name).read_bytes() for name in self.names}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have a stack's folder to oneself; it is made, for its owner alone. Raises StackError where somebody has it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"{folder}: another backup is at work there; wait for it") from None
        for left in folder.glob(".*.new"):
            shutil.rmtree(left)
        yield


def write(
    folder: Path, stack: str, state: str, files: Mapping[str, bytes], snapshots: Mapping[str, Snapshot], now: datetime
) -> Path:
    """Write one backup, whose blobs are there; returns its folder."""
    name = now.astimezone(UTC).strftime("%Y-%m-%dT%H%M%SZ")
    beside = folder / f".{name}.new"
    contents = {
        STATE: state.encode(),
        **{f"{FILES}/{path}": content for path, content in files.items()},
        **{f"{REGISTRIES}/{registry}.json": each.text().encode() for registry, each in snapshots.items()},
    }
    listed = {path: {"sha256": _sha256(each), "size": len(each)} for path, each in sorted(contents.items())}
    told = {
        registry: {"images": len(each.images), "blobs": len(each.blobs), "bytes": each.size}
        for registry, each in snapshots.items()
    }
    whole = {"format": FORMAT, "stack": stack, "made": name, "registries": told, "files": listed}
    text = (json.dumps(whole, indent=2) + "\n").encode()
    contents |= {CONTENTS: text, DIGEST_FILE: f"{_sha256(text)}  {CONTENTS}\n".encode()}
    for path, content in contents.items():
        (beside / path).parent.mkdir(parents=True, exist_ok=True)
        (beside / path).write_bytes(content)
    os.sync()
    beside.rename(folder / name)
    return folder / name


def keep(folder: Path, number: int) -> tuple[list[str], int]:
    """Remove all but the newest backups, and the blobs that no other one needs; returns their names and the bytes."""
    there = _backups(folder)
    gone, kept = there[:-number], there[-number:]
    for each in gone:
        shutil.rmtree(each)
    needed = {path for each in kept for path in blobs_of(each)}
    freed = 0
    for path in _below(folder / "blobs"):
        name = path.relative_to(folder).as_posix()
        if name not in needed:
            freed += path.stat().st_size
            path.unlink()
            with suppress(OSError):
                path.parent.rmdir()
    return [each.name for each in gone], freed


def blobs_of(backup: Path) -> set[str]:
    """The paths of the blobs that a backup needs. Raises StackError where it can't be read."""
    try:
        return {path for each in _below(backup / REGISTRIES) for path in Snapshot.read(each.read_text()).blobs}
    except ValueError as wrong:
        raise StackError(f"{backup}: {wrong}; remove this backup, or leave KEEP out") from None


def lacking(folder: Path, blobs: Mapping[str, int]) -> list[str]:
    """Those of these blobs that are not there, by their size."""
    return sorted(path for path, size in blobs.items() if _size(folder / path) != size)


def found(folder: Path, stack: str) -> Path:
    """The backup that a person means: the folder of one, or the newest of this stack there. Raises StackError."""
    if (folder / CONTENTS).exists():
        return folder
    there = _backups(folder / stack)
    if not there:
        raise StackError(f"FROM={folder}: has no backup of {stack}; give the folder that 'make backup' has printed")
    return there[-1]


def checked(folder: Path, stack: str) -> Backup:
    """A backup all of whose parts are there and have their digests. Raises StackError that names what is wrong."""
    try:
        text = (folder / CONTENTS).read_bytes()
        whole = json.loads(text)
        if (folder / DIGEST_FILE).read_text().split()[:1] != [_sha256(text)]:
            raise ValueError(f"{CONTENTS} has not the digest in {DIGEST_FILE}")
        if whole["format"] != FORMAT:
            raise ValueError(f"has the format {whole['format']}, this version reads {FORMAT}")
        files = {str(path): str(each["sha256"]) for path, each in whole["files"].items()}
        if odd := [path for path in files if path.startswith("/") or ".." in path.split("/")]:
            raise ValueError(f"{odd[0]} is no path below it")
        of = str(whole["stack"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as wrong:
        raise _broken(folder, [str(wrong)]) from None
    if of != stack:
        raise StackError(f"{folder}: is a backup of {of}, not of {stack}")
    if errors := [path for path, digest in files.items() if not _has(folder / path, digest)]:
        raise _broken(folder, errors)
    try:
        snapshots = {
            Path(path).stem: Snapshot.read((folder / path).read_text())
            for path in files
            if path.startswith(f"{REGISTRIES}/")
        }
    except (OSError, ValueError) as wrong:
        raise _broken(folder, [str(wrong)]) from None
    blobs = sorted({path for each in snapshots.values() for path in each.blobs})
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        whole_ones = pool.map(lambda path: _blob_is_whole(folder.parent / path), blobs)
        if errors := [path for path, whole_one in zip(blobs, whole_ones, strict=True) if not whole_one]:
            raise _broken(folder, errors)
    names = tuple(path.removeprefix(f"{FILES}/") for path in files if path.startswith(f"{FILES}/"))
    return Backup(folder, stack, snapshots, names)


def _blob_is_whole(path: Path) -> bool:
    named = BLOB.fullmatch("/".join(path.parts[-5:]))
    return named is not None and _has(path, named[2], named[1])


def some(names: Sequence[str]) -> str:
    """The first of many wrong things, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _broken(folder: Path, errors: list[str]) -> StackError:
    return StackError(
        f"{folder}: missing or damaged: {some(errors)}; nothing has been put back. Take another "
        "copy of it, or another backup"
    )


def _backups(folder: Path) -> list[Path]:
    """The oldest first."""
    return sorted(each for each in folder.glob("*") if NAME.fullmatch(each.name))


def _below(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _has(path: Path, digest: str, algorithm: str = "sha256") -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest() == digest
    except (OSError, ValueError):
        return False


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
