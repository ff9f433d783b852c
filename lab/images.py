"""The images that the lab makes: registry:3, and the test images that its Docker Hub serves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from lab import archive, binaries, hostimage
from lab.archive import Image
from lab.cache import cached, entry
from lab.paths import SOURCES

REGISTRY = Image(
    "registry:3",
    entrypoint=("registry",),
    command=("serve", "/etc/distribution/config.yml"),
    environment=(archive.PATH, "OTEL_TRACES_EXPORTER=none"),
    ports=("5000/tcp",),
    volumes=("/var/lib/registry",),
)
APP = Image("library/app:1", command=("sleep", "2147483647"), labels={"http-registry.lab": "small"})
BIG = Image("library/big:1", command=("sleep", "2147483647"), labels={"http-registry.lab": "big"})
BIG_BYTES = 200_000_000
APPLETS = ("sh", "sleep", "httpd", "cat", "echo", "ls", "wget", "true", "sha256sum", "head")
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
CONFIG = SOURCES / "image" / "registry.yml"
THIS = (Path(__file__), SOURCES / "archive.py")


def registry_target() -> Path:
    """The cache folder of the registry image. The certificates come from the hosts' Debian."""
    return entry("registry-image", [*THIS, CONFIG, binaries.REGISTRY.target.name, hostimage.target().name])


def registry(binary: Path, rootfs: Path) -> Path:
    """The registry image as a `docker save` archive, laid out like the official one."""

    def build(folder: Path) -> None:
        entries: dict[str, archive.Entry] = {
            "bin": None,
            "bin/registry": binary.read_bytes(),
            "etc": None,
            "etc/distribution": None,
            "etc/distribution/config.yml": CONFIG.read_bytes(),
            "etc/ssl": None,
            "etc/ssl/certs": None,
            CERTIFICATES: hostimage.read(rootfs, f"./{CERTIFICATES}"),
            "tmp": None,
        }
        layer = archive.write_layer(folder / "layer.tar", entries, {"bin/registry": 0o755, "tmp": 0o1777})
        archive.write_archive(folder / "registry.tar", REGISTRY, [layer])
        layer.path.unlink()

    return cached(registry_target(), build) / "registry.tar"


def tests_target() -> Path:
    """The cache folder of the test images."""
    return entry("test-images", [*THIS, hostimage.target().name])


def noise(size: int) -> bytes:
    """Bytes that no compression makes smaller, the same ones each time."""
    source = random.Random(size)  # noqa: S311
    return b"".join(source.randbytes(min(1 << 20, size - start)) for start in range(0, size, 1 << 20))


def tests(rootfs: Path) -> Iterator[tuple[Image, Path]]:
    """The test images and their archives."""

    def build(folder: Path) -> None:
        busybox = hostimage.read(rootfs, "./usr/bin/busybox")
        entries: dict[str, archive.Entry] = {"bin": None, "bin/busybox": busybox}
        entries |= {f"bin/{applet}": "busybox" for applet in APPLETS}
        entries |= {"tmp": None, "www": None, "www/index.html": b"the lab's test image\n"}
        base = archive.write_layer(folder / "base.tar", entries, {"bin/busybox": 0o755, "tmp": 0o1777})
        noisy = archive.write_layer(folder / "noise.tar", {"noise": noise(BIG_BYTES)})
        archive.write_archive(folder / "app.tar", APP, [base])
        archive.write_archive(folder / "big.tar", BIG, [base, noisy])
        base.path.unlink()
        noisy.path.unlink()

    folder = cached(tests_target(), build)
    yield from ((APP, folder / "app.tar"), (BIG, folder / "big.tar"))
