"""Whole files as values, and the one way in which hostctl writes them: beside, fsynced, renamed."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from pathlib import Path
from typing import Any, Iterable, List, NamedTuple, Optional

from hostctl.errors import HostError

CANDIDATE_SUFFIX = ".http-registry-new"
PASSING_SUFFIX = ".http-registry-tmp"
LARGEST = 16 << 20
"""Bytes that a configuration can have: whoever else may write a file must not fill our memory."""


class FileState(NamedTuple):
    """A file's content, permission bits and owner. Absence is None, never an empty FileState."""

    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 of the content, in hex."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def rights(self) -> List[str]:
        """Permission bits in octal, and `uid:gid`."""
        return [f"{self.mode:04o}", f"{self.uid}:{self.gid}"]

    def with_content(self, content: bytes) -> FileState:
        """The same mode and owner around another content."""
        return FileState(content, self.mode, self.uid, self.gid)

    def to_json(self) -> dict[str, Any]:
        """A form that `from_json` reads back."""
        return {
            "content": base64.b64encode(self.content).decode(),
            "mode": self.mode,
            "uid": self.uid,
            "gid": self.gid,
        }

    @staticmethod
    def from_json(data: Optional[dict[str, Any]]) -> Optional[FileState]:
        """Read what `to_json` wrote; None stays None."""
        if data is None:
            return None
        return FileState(base64.b64decode(data["content"]), data["mode"], data["uid"], data["gid"])


def read(path: Path) -> Optional[FileState]:
    """The file at `path`, or None where there is none. Raises HostError for what is no file, or none to configure."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would keep us waiting
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise HostError(f"{path}: is not a file; move it away and try again")
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(LARGEST + 1)
    finally:
        os.close(handle)
    if len(content) > LARGEST:
        raise HostError(f"{path}: has more than {LARGEST >> 20} MiB; put a working file in its place")
    return FileState(content, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def candidate_of(path: Path) -> Path:
    """Where the coming content of `path` is written first: same folder, a name that no include pattern matches."""
    return path.with_name(f".{path.name}{CANDIDATE_SUFFIX}")


def write_candidate(path: Path, state: FileState) -> Path:
    """Write the coming content of `path` beside it, on disk for certain when this returns."""
    candidate = candidate_of(path)
    _write_durably(candidate, state)
    return candidate


def swap(path: Path) -> None:
    """Put the candidate of `path` in its place, in one step."""
    os.replace(candidate_of(path), path)
    sync_folder(path.parent)


def write(path: Path, state: Optional[FileState]) -> None:
    """Make `path` be `state`: written beside and renamed, or removed if `state` is None. Leaves a candidate alone."""
    if state is None:
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_folder(path.parent)
        return
    make_folders(path.parent)
    passing = path.with_name(f".{path.name}{PASSING_SUFFIX}")
    try:
        _write_durably(passing, state)
        os.replace(passing, path)
    except OSError:
        passing.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sweep(path: Path) -> None:
    """Remove what an interrupted write may have left beside `path`."""
    candidate_of(path).unlink(missing_ok=True)
    path.with_name(f".{path.name}{PASSING_SUFFIX}").unlink(missing_ok=True)


def _write_durably(path: Path, state: FileState) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(state.content)
            file.flush()
            if os.getuid() == 0:
                os.fchown(file.fileno(), state.uid, state.gid)
            os.fchmod(file.fileno(), state.mode)
            os.fsync(file.fileno())
    except OSError as failure:
        failure.filename = failure.filename or str(path)  # a full disk does not say where
        raise


def make_folders(folder: Path) -> List[str]:
    """Create `folder` and its parents, 0755, in a home 0700; returns those that did not exist, outermost first."""
    missing = [parent for parent in [folder, *folder.parents] if not parent.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o755, exist_ok=True)  # another hostctl may be making the same one
        sync_folder(each.parent)
    return [str(each) for each in reversed(missing)]


def remove_empty_folders(folders: Iterable[str]) -> None:
    """Remove those of the folders that are empty, innermost first."""
    for folder in sorted(folders, key=len, reverse=True):
        try:
            os.rmdir(folder)
        except OSError:
            continue


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
