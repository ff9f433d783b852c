"""A real S3 store (versitygw) on loopback, with one bucket."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import binaries
from tests.certificates import Signed
from tests.free_port import free_port
from tests.programs.registry_process import wait_for_port

REGION, BUCKET, ACCESS, SECRET = "lab-1", "images", "access", "secret/of+the store"


@contextmanager
def object_store(folder: Path, certificate: Signed | None = None) -> Iterator[str]:
    """The store's URL; HTTPS where it has a certificate."""
    port = free_port()
    for each in ("objects/images", "sidecar"):
        (folder / each).mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [
        binaries.build(binaries.VERSITYGW) / "versitygw",
        "--port",
        f"127.0.0.1:{port}",
        "--region",
        REGION,
    ]
    if certificate:
        (folder / "store.pem").write_text(certificate.pem)
        (folder / "store.key").write_text(certificate.private)
        command += ["--cert", folder / "store.pem", "--key", folder / "store.key"]
    log = folder / "store.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "posix", "--sidecar", folder / "sidecar", folder / "objects"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET},
        )
    try:
        wait_for_port(port, process, log)
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)
