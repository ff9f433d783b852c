"""A Docker host for the docker plugin's tests (HTTP_REGISTRY_TEST_DOCKER_HOST), with an image of busybox on it."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

IMAGE = "http-registry-test/busybox:1"
APPLETS = ("cat", "echo", "env", "false", "ls", "sh", "sleep", "stat", "true")


def host_under_test() -> str:
    """The daemon to test with, or the test is skipped."""
    host = os.environ.get("HTTP_REGISTRY_TEST_DOCKER_HOST", "")
    if not host:
        pytest.skip("HTTP_REGISTRY_TEST_DOCKER_HOST names no Docker host")
    return host


def docker(host: str, *arguments: str, stdin: bytes | None = None) -> str:
    """The docker CLI's output; an error fails the test."""
    result = subprocess.run(["docker", "-H", host, *arguments], input=stdin, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode().strip()


def ensure_image(host: str) -> None:
    """Import the image where it isn't there: `busybox` of Debian's busybox-static, and its links."""
    if docker(host, "image", "ls", "-q", IMAGE):
        return
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("no busybox on PATH: apt-get install busybox-static")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("bin", "etc", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        content = Path(busybox).resolve().read_bytes()
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
