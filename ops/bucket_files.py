"""Runs on a host, sent there with the S3 client of garbage_collection: a registry's files in a bucket, as volume_files.

stdin: a line with the bucket and its keys, then what volume_files reads. Python 3.9, standard library only.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from garbage_collection.bucket import UNSIGNED, Bucket, Keys, Place
from ops.volume_files import BLOB, safe

NAMED = re.compile(
    r"repositories/.+/(?:_layers|_manifests/revisions|_manifests/tags/[^/]+/index)/([a-z0-9]+)/(\w+)/link"
)
"""A link that says what its path says."""
KINDS = ("/_manifests/tags/", "/_manifests/revisions/", "/_layers/")
"""Of links, each before what it needs."""
READERS = 8


class Files:
    """What is in the bucket."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self.bucket = self._connected()

    def _connected(self) -> Bucket:
        return Bucket(Place(**self._given["bucket"]), Keys(self._given["access"], self._given["secret"]))

    def listing(self) -> dict[str, str]:
        """See volume_files. A store lists in order of names, so a time for each kind. Only tags are read."""
        found = {}
        for kind in KINDS:
            links = [each.path for each in self.bucket.below("repositories") if kind in each.path]
            found.update(
                {path: f"{named[1]}:{named[2]}" for path in links for named in [NAMED.fullmatch(path)] if named}
            )
            tags = [path for path in links if path.endswith("/current/link")]
            with ThreadPoolExecutor(READERS) as pool:
                for some in pool.map(self._texts, [tags[start::READERS] for start in range(READERS)]):
                    found.update(some)
        found.update({each.path: str(each.size) for each in self.bucket.below("blobs")})
        return found

    def _texts(self, paths: list[str]) -> dict[str, str]:
        bucket, found = self._connected(), {}
        for path in paths:
            # A store over a folder may have nothing there for a moment while a tag is moved (versitygw).
            for pause in (0.05, 0.2, 0.0):
                try:
                    found[path] = bucket.read(path).decode(errors="replace")
                    break
                except FileNotFoundError:
                    time.sleep(pause)
        return found

    def send(self, paths: list[str], out: IO[bytes]) -> None:
        """See volume_files."""
        with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for path in paths:
                try:
                    content = self.bucket.stream(path)
                except FileNotFoundError:
                    continue
                member = tarfile.TarInfo(path)
                member.size, member.mtime = int(content.headers["content-length"]), time.time()
                archive.addfile(member, content)
                content.read()

    def receive(self, source: IO[bytes]) -> dict[str, Any]:
        """See volume_files. The store takes a file when it has it whole."""
        told: dict[str, Any] = {"files": 0, "bytes": 0, "wrong": []}
        with tarfile.open(fileobj=source, mode="r|") as archive:
            for member in archive:
                if not safe(member):
                    raise SystemExit(f"{member.name}: is no file below the registry's folder")
                content = archive.extractfile(member)
                assert content is not None
                if self._store(member, Hashed(content, BLOB.fullmatch(member.name))):
                    told["files"] += 1
                    told["bytes"] += member.size
                else:
                    told["wrong"].append(member.name)
        return told

    def _store(self, member: tarfile.TarInfo, content: Hashed) -> bool:
        try:
            self.bucket.store(member.name, content, member.size, content.announced)  # type: ignore[arg-type]
        except OSError:
            if content.right:
                raise
        if not content.right:
            self.bucket.remove([member.name])
        return content.right


class Hashed:
    """A blob's content, hashed as it is read; a link's as it is."""

    def __init__(self, content: IO[bytes], blob: re.Match[str] | None) -> None:
        self._content, self._blob = content, blob
        self._seen = hashlib.new(blob[1] if blob else "sha256")

    @property
    def announced(self) -> str:
        """What the store is told of it."""
        return self._blob[2] if self._blob and self._blob[1] == "sha256" else UNSIGNED

    @property
    def right(self) -> bool:
        """Whether what has been read is what the name says."""
        return self._blob is None or self._seen.hexdigest() == self._blob[2]

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        part = self._content.read(size)
        self._seen.update(part)
        return part


def main(action: str) -> None:
    """Do one action."""
    try:
        files = Files(json.loads(sys.stdin.buffer.readline()))
        if action == "list":
            print(json.dumps(files.listing()))
        elif action == "send":
            files.send(json.load(sys.stdin.buffer), sys.stdout.buffer)
        else:
            print(json.dumps(files.receive(sys.stdin.buffer)))
    except OSError as failure:
        raise SystemExit(str(failure)) from None
