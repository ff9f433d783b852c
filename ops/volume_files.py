"""Runs on a host, sent there as text: a registry's files in a volume of Docker, listed, sent, received, removed.

    python3 -c TEXT list|send|receive|remove VOLUME

Python 3.9, standard library only. Layout: distribution v3, registry/storage/paths.go: a blob's path holds its digest,
every other file is a link of a few bytes. Uploads that are under way are left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

ROOT = "docker/registry/v2"
BLOB = re.compile(r"blobs/([a-z0-9]+)/[0-9a-f]{2}/([0-9a-f]+)/data")
PART = 1 << 20
LINK = 4096
"""Bytes that a link has at most."""


def folder(volume: str) -> Path:
    """The registry's folder in the volume."""
    done = subprocess.run(
        ["docker", "volume", "inspect", "--format", "{{.Mountpoint}}", volume],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(done.stderr.strip())
    return Path(done.stdout.strip(), ROOT)


def listing(root: Path) -> dict[str, str]:
    """What each file is by its path: a blob's size, which with its name says all, or a link's text.

    What needs something comes before it: tags, then manifests, layers, blobs. The registry makes them the other way
    round, so what is pushed meanwhile is listed with all that it needs, or not at all.
    """
    found: dict[str, str] = {}
    for path, entry in (each for top in ("repositories", "blobs") for each in _files(root, top)):
        try:
            size = entry.stat(follow_symlinks=False).st_size
            small = size <= LINK and not BLOB.fullmatch(path)
            found[path] = (root / path).read_bytes().decode(errors="replace") if small else str(size)
        except FileNotFoundError:
            continue  # deleted meanwhile
    return found


def _files(root: Path, below: str) -> Iterator[tuple[str, Any]]:
    try:
        entries = list(os.scandir(root / below))
    except FileNotFoundError:
        return
    # `_manifests` before `_layers`, and in it `tags` before `revisions`.
    for each in sorted(entries, key=lambda entry: entry.name, reverse=True):
        path = f"{below}/{each.name}"
        if each.is_dir(follow_symlinks=False):
            if each.name != "_uploads":
                yield from _files(root, path)
        else:
            yield path, each


def send(root: Path, paths: list[str], out: IO[bytes]) -> None:
    """Write a tar stream of these files; what is gone meanwhile is left out."""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in paths:
            try:
                with open(root / path, "rb") as file:
                    archive.addfile(archive.gettarinfo(arcname=path, fileobj=file), file)
            except FileNotFoundError:
                continue


def receive(root: Path, source: IO[bytes], *, owners: bool = True) -> dict[str, Any]:
    """Read a tar stream; each blob is in its place only when its content has its digest.

    `owners`: whether owner, mode and time come along.
    """
    told: dict[str, Any] = {"files": 0, "bytes": 0, "wrong": []}
    with tarfile.open(fileobj=source, mode="r|") as archive:
        for member in archive:
            if not safe(member):
                raise SystemExit(f"{member.name}: is no file below the registry's folder")
            if _place(archive, member, root, owners):
                told["files"] += 1
                told["bytes"] += member.size
            else:
                told["wrong"].append(member.name)
    os.sync()
    return told


def safe(member: tarfile.TarInfo) -> bool:
    """Whether it is a file that stays below the folder that it comes to."""
    return member.isfile() and ".." not in member.name.split("/") and not member.name.startswith("/")


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path, owners: bool) -> bool:
    target, blob = root / member.name, BLOB.fullmatch(member.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.new")
    content, seen = archive.extractfile(member), hashlib.new(blob[1] if blob else "sha256")
    assert content is not None
    with open(beside, "wb") as file:
        while part := content.read(PART):
            seen.update(part)
            file.write(part)
    if blob and seen.hexdigest() != blob[2]:
        beside.unlink()
        return False
    if owners:
        beside.chmod(member.mode)
        os.chown(beside, member.uid, member.gid)
        os.utime(beside, (member.mtime, member.mtime))
    os.replace(beside, target)
    return True


def remove(root: Path, paths: list[str]) -> None:
    """Remove files, and the folders that are empty then."""
    for path in paths:
        (root / path).unlink()
        for parent in (root / path).parents:
            if parent == root or any(parent.iterdir()):
                break
            parent.rmdir()


def main(action: str, volume: str) -> None:
    """Do one action."""
    root = folder(volume)
    if action == "list":
        print(json.dumps(listing(root)))
    elif action == "send":
        send(root, json.load(sys.stdin), sys.stdout.buffer)
    elif action == "receive":
        print(json.dumps(receive(root, sys.stdin.buffer)))
    else:
        remove(root, json.load(sys.stdin))


if __name__ == "__main__":
    main(*sys.argv[1:3])
