"""Container images written as `docker save` archives; the same input gives the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""The machine's name for each architecture, and that of image configurations."""

Entry = bytes | str | None
"""A file's content, a symbolic link's target, or None for a folder."""


@dataclass(frozen=True)
class Layer:
    """A layer on disk: an uncompressed tar file and its SHA-256."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Image:
    """What an image runs. The fields are those of the OCI image configuration."""

    tag: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = (PATH,)
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def _info(name: str, size: int, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.mode = size, kind, mode
    return info


def write_layer(path: Path, entries: Mapping[str, Entry], modes: Mapping[str, int] | None = None) -> Layer:
    """Write the entries, in their order, as a layer. Files are 0644, folders 0755, but for `modes`."""
    modes = modes or {}
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in entries.items():
            if content is None:
                tar.addfile(_info(name, 0, tarfile.DIRTYPE, modes.get(name, 0o755)))
            elif isinstance(content, str):
                info = _info(name, 0, tarfile.SYMTYPE, 0o777)
                info.linkname = content
                tar.addfile(info)
            else:
                info = _info(name, len(content), tarfile.REGTYPE, modes.get(name, 0o644))
                tar.addfile(info, io.BytesIO(content))
    return Layer(path, _sha256(path))


def _sha256(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()


def configuration(image: Image, layers: list[Layer]) -> bytes:
    """The image's configuration document. Its SHA-256 is the image's id."""
    config: dict[str, object] = {
        "Entrypoint": list(image.entrypoint) or None,
        "Cmd": list(image.command) or None,
        "Env": list(image.environment),
        "ExposedPorts": {port: {} for port in image.ports} or None,
        "Volumes": {volume: {} for volume in image.volumes} or None,
        "Labels": dict(image.labels) or None,
    }
    machine = platform.machine()
    document = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {key: value for key, value in config.items() if value is not None},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.sha256}" for layer in layers]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "http-registry lab"} for _ in layers],
    }
    return json.dumps(document, sort_keys=True).encode()


def write_archive(path: Path, image: Image, layers: list[Layer]) -> None:
    """Write an archive that `docker load` and skopeo's docker-archive: read."""
    config = configuration(image, layers)
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    names = [f"{layer.sha256}.tar" for layer in layers]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [image.tag], "Layers": names}]).encode()
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for layer, name in zip(layers, names, strict=True):
            with layer.path.open("rb") as content:
                tar.addfile(_info(name, layer.path.stat().st_size, tarfile.REGTYPE, 0o644), content)
        for name, document in ((config_name, config), ("manifest.json", manifest)):
            tar.addfile(_info(name, len(document), tarfile.REGTYPE, 0o644), io.BytesIO(document))
