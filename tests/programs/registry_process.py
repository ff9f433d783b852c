"""The real registry (distribution v3), started with the files that are rendered for its container."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from documents import registry_config
from lab import binaries
from settings.registries import Registry
from settings.registry_files import RegistryFiles
from tests.free_port import free_port
from tests.registry_client import Client


def registry_program() -> Path:
    """The registry's program, built if the cache has none."""
    return binaries.build(binaries.REGISTRY) / "registry"


def placed(folder: Path, port: int, registry: Registry, files: RegistryFiles, secrets: Mapping[str, str]) -> Path:
    """Write the container's files below a folder, and its paths and port into them; returns config.yml."""
    for each in registry_config.render(registry, files, secrets):
        path = folder / each.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        text = each.text
        if each.path == registry_config.PATH:
            text = text.replace(registry_config.FOLDER, str(folder / registry_config.FOLDER.lstrip("/")))
            text = text.replace(registry_config.DATA, str(folder / "data"))
            text = text.replace(f"addr: :{registry_config.CONTAINER_PORT}", f"addr: 127.0.0.1:{port}")
        path.write_text(text)
        path.chmod(each.mode)
    return folder / registry_config.PATH.lstrip("/")


@contextmanager
def serving(
    folder: Path, registry: Registry, files: RegistryFiles | None = None, secrets: Mapping[str, str] | None = None
) -> Iterator[Client]:
    """The registry serving; a client of it without credentials. Raises AssertionError with its log if it ends."""
    port = free_port()
    config = placed(folder, port, registry, files or RegistryFiles(), secrets or {})
    given = [each.replace(registry_config.FOLDER, str(config.parent)) for each in registry_config.environment(registry)]
    log = folder / f"{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [registry_program(), "serve", str(config)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(each.split("=", 1) for each in given),  # as in the container, which knows nothing of this machine
        )
    try:
        wait_for_port(port, process, log)
        yield Client(f"{registry.scheme}://127.0.0.1:{port}", authority=_authority(folder, files))
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until somebody listens there, 10 s at most."""
    for _ in range(200):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())


def _authority(folder: Path, files: RegistryFiles | None) -> str | None:
    if files is None or files.tls_authority is None:
        return None
    path = folder / "client-authority.pem"
    path.write_text(files.tls_authority)
    return str(path)
