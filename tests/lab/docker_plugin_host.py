"""A Docker host for the docker plugin's tests with an image of busybox on it."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile

from lab import docker as lab_docker
from lab import hostimage

IMAGE = "http-registry-test/busybox:1"
APPLETS = ("cat", "echo", "env", "false", "ls", "sh", "sleep", "stat", "true")


def host_under_test() -> str:
    """The daemon that carries the lab."""
    engine = lab_docker.running()
    assert engine is not None, "no Docker runs; start the lab: lab/up"
    return f"unix://{engine.socket}"


def docker(host: str, *arguments: str, stdin: bytes | None = None) -> str:
    """The docker CLI's output; an error fails the test."""
    result = subprocess.run(["docker", "-H", host, *arguments], input=stdin, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode().strip()


def ensure_image(host: str) -> None:
    """Import the image where it isn't there: the busybox of the lab's hosts, and its links."""
    if docker(host, "image", "ls", "-q", IMAGE):
        return
    content = hostimage.read(hostimage.target() / hostimage.ROOTFS, "./usr/bin/busybox")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("bin", "etc", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(content), 0o755
        archive.addfile(entry, io.BytesIO(content))
        for applet in APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    docker(host, "import", "-", IMAGE, stdin=buffer.getvalue())


def inspect(host: str, kind: str, name: str) -> dict[str, object]:
    """What the daemon says about one object."""
    found: list[dict[str, object]] = json.loads(docker(host, kind, "inspect", name))
    return found[0]
