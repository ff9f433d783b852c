"""The hosts' root file system: Debian by mmdebstrap, from this machine's own apt sources, and crictl."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from pathlib import Path

from lab import binaries, packages
from lab.cache import cached, digest, entry
from lab.docker import Docker
from lab.paths import SOURCES
from lab.process import run
from lab.progress import step

SUITE = "bookworm"
PACKAGES = (
    # a host that a person administers over SSH
    "systemd systemd-sysv dbus openssh-server iproute2 iputils-ping procps kmod less python3 ca-certificates",
    # what the project configures
    "docker.io containerd nginx-light apache2-utils iptables nftables",
    # a key in an HSM
    "softhsm2 opensc libengine-pkcs11-openssl openssl",
    # what tells figures, and what keeps them
    "prometheus prometheus-node-exporter",
    # a floating address
    "keepalived",
    # what the tests use; busybox is the test images' only content
    "curl jq skopeo wrk busybox-static",
    # what the lab's token server signs with
    "python3-cryptography",
)
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
FILES = (
    SOURCES / "image" / "customize",
    SOURCES / "image" / "lab-boot",
    SOURCES / "image" / "lab-route.service",
    SOURCES / "image" / "crictl.yaml",
)
REMEDY = "Check that apt works on this machine (apt-get update) and that 3 GB of disk are free."
REPOSITORY = "http-registry-lab/host"
ROOTFS = "host.tar"


def target() -> Path:
    """The cache folder of the root file system."""
    return entry("host", [SUITE, *PACKAGES, *LEFT_OUT, *FILES, binaries.CRICTL.target.name])


def tag() -> str:
    """The image's name in Docker; it changes with everything the image is made from."""
    return f"{REPOSITORY}:{digest([target().name])}"


def own_sources() -> list[str]:
    """This machine's apt entries when it runs the hosts' Debian; else none: mmdebstrap has a default."""
    release = Path("/etc/os-release")
    codename = re.search(r"^VERSION_CODENAME=(\S+)", release.read_text(), re.M) if release.exists() else None
    return packages.sources(SUITE) if codename and codename[1] == SUITE else []


def debootstrap(output: Path) -> None:
    """Make the root file system as a tar file."""
    settings, entries = output.with_name("apt.conf"), output.with_name("sources.list")
    dump = run(["apt-config", "dump"], what="reading apt's settings")
    settings.write_text(packages.connection_settings(dump))
    own = own_sources()
    entries.write_text("".join(f"{line}\n" for line in own))
    include = ",".join(",".join(group.split()) for group in PACKAGES)
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={include}"]
    command += [f"--aptopt={settings}", f"--customize-hook={SOURCES / 'image' / 'customize'}"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    with step("making the hosts' root file system with mmdebstrap"):
        run([*command, SUITE, str(output), *([str(entries)] if own else [])], what="mmdebstrap", remedy=REMEDY)
    settings.unlink()
    entries.unlink()


def rootfs(crictl: Callable[[], Path]) -> Path:
    """The root file system's tar file, made when the cache has none; `crictl` waits for the binary."""

    def build(folder: Path) -> None:
        debootstrap(folder / ROOTFS)
        with tarfile.open(folder / ROOTFS, "a") as tar:
            tar.add(crictl(), "./usr/local/bin/crictl")

    return cached(target(), build) / ROOTFS


def loaded(docker: Docker) -> bool:
    """Whether Docker has the image."""
    return docker.ok("image", "inspect", tag())


def load(docker: Docker, tar: Path) -> None:
    """Make Docker's image of the root file system."""
    with step("importing the hosts' image into Docker"):
        unload(docker)
        docker("import", "--change", "ENV container=docker", str(tar), tag())


def unload(docker: Docker) -> None:
    """Remove the image, of this recipe and of earlier ones, from Docker."""
    for name in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", REPOSITORY).split():
        docker.ok("image", "rm", name)


def read(tar: Path, member: str) -> bytes:
    """One file of the root file system."""
    with tarfile.open(tar) as archive:
        for info in archive:
            if info.name == member:
                found = archive.extractfile(info)
                return found.read() if found else b""
    raise KeyError(f"{member} is not in {tar}")


def program(name: str, folder: str = "usr/sbin") -> Path:
    """A program of the hosts' Debian, for tests on this machine that need nothing else of it. lab/up makes its source.

    Raises FileNotFoundError as long as lab/up has not made the hosts' root file system.
    """

    def build(made: Path) -> None:
        (made / name).write_bytes(read(target() / ROOTFS, f"./{folder}/{name}"))
        (made / name).chmod(0o755)

    return cached(entry(name, [target().name]), build) / name
