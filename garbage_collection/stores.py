"""Where a registry keeps its data: a volume of this host's Docker. (A bucket: bucket.py.)"""

from __future__ import annotations

import http.client
import json
import os
import socket
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Iterable, Iterator, NamedTuple

ROOT = "docker/registry/v2"
SOCKET = "/var/run/docker.sock"


class File(NamedTuple):
    """One of a listing: its path below docker/registry/v2, time of last change (seconds since the epoch), size in
    bytes. `mark`: the same means the same content; empty where nobody can tell."""

    path: str
    changed: float
    size: int
    mark: str = ""


class Store(ABC):
    """Files by their paths below docker/registry/v2. Every method may raise OSError."""

    settle: float
    """Seconds in which a request that is on its way is done with the storage."""

    @abstractmethod
    def listing(self) -> Iterator[File]:
        """Every file."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """A small file. Raises FileNotFoundError."""

    @abstractmethod
    def write(self, path: str, content: bytes) -> None:
        """Make a small file."""

    @abstractmethod
    def remove(self, paths: Iterable[str]) -> None:
        """Remove files; one that is not there is no error."""


class Folder(Store):
    """A folder that the registry has for its root."""

    settle = 1.0

    def __init__(self, folder: Path) -> None:
        self.root = folder / ROOT

    def listing(self) -> Iterator[File]:
        """Links first, so that a blob which comes in between is too young to go."""
        for top in ("repositories", "blobs"):
            yield from self._below(top)

    def _below(self, path: str) -> Iterator[File]:
        try:
            entries = list(os.scandir(self.root / path))
        except FileNotFoundError:
            return
        for each in entries:
            name = f"{path}/{each.name}"
            if each.is_dir(follow_symlinks=False):
                if each.name != "_uploads":
                    yield from self._below(name)
                continue
            try:
                status = each.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield File(name, status.st_mtime, status.st_size)

    def read(self, path: str) -> bytes:
        """See Store."""
        return (self.root / path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        """See Store."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.new")
        beside.write_bytes(content)
        os.replace(beside, file)

    def remove(self, paths: Iterable[str]) -> None:
        """The file's own folder goes with it."""
        for path in paths:
            file = self.root / path
            try:
                file.unlink()
                file.parent.rmdir()
            except OSError as left:
                if file.exists():
                    raise left


def volume(name: str, path: str = SOCKET) -> Folder:
    """A volume of this host's Docker. Raises OSError where Docker does not answer or has none of that name."""
    connection = http.client.HTTPConnection("docker", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(30)
        connection.sock.connect(path)
        connection.request("GET", f"/volumes/{name}")
        response = connection.getresponse()
        data = json.loads(response.read())
        if response.status != 200:
            raise OSError(f"Docker has no volume {name}: {data.get('message')}")
        return Folder(Path(data["Mountpoint"]))
    except (http.client.HTTPException, ValueError) as odd:
        raise OSError(f"{path}: Docker does not answer ({odd})") from odd
    finally:
        connection.close()
