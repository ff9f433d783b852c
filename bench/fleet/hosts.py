"""Light hosts: the lab's root file system under an overlay in memory, sshd, and a network namespace with an address.

No systemd and no containerd run there: `on_host/` has what answers in their place. All else, such as sshd, python3 and
the containerd that checks its configuration, is Debian's.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.fleet.groups import Group, group
from lab import hostimage
from lab.cache import cached, entry
from lab.process import LabError, run
from toolchain.locking import locked

NAME = "hrfleet"
"""What everything of ours on this machine is called: namespaces, interfaces, the folder."""
FOLDER = Path("/run") / NAME
MEMORY = "6g"
"""What all the hosts' files may take."""
SHELL = Path(__file__).with_name("on_host")
BIN = "usr/local/bin"
LARGEST = 200
PATIENCE = 60.0
"""Seconds until the last sshd answers."""


@dataclass(frozen=True)
class Light:
    """One of them."""

    number: int

    @property
    def name(self) -> str:
        """Also its network namespace's."""
        return f"{NAME}-{self.number}"

    @property
    def address(self) -> str:
        """Where its sshd answers, at port 22."""
        return f"198.18.{self.number // 250 + 1}.{self.number % 250 + 1}"

    @property
    def folder(self) -> Path:
        """What it has written is in `upper`."""
        return FOLDER / str(self.number)

    def text(self, path: str) -> str:
        """A file that was written there; empty where none was."""
        file = self.folder / "upper" / path.lstrip("/")
        return file.read_text() if file.exists() else ""

    def connections(self) -> int:
        """How many times somebody has connected to its sshd."""
        return self.text("/var/log/sshd.log").count("Connection from ")


@dataclass(frozen=True)
class Fleet:
    """The hosts that run. `key`: the private key that they let in. `host_key`: their public one, the same for all.
    `group`: all their processes."""

    hosts: tuple[Light, ...]
    key: Path
    host_key: str
    group: Group

    @property
    def known_hosts(self) -> str:
        """For ssh."""
        return "".join(f"{each.address} {self.host_key}\n" for each in self.hosts)

    def connections(self) -> Counter[str]:
        """By host, how many there have been."""
        return Counter({each.name: each.connections() for each in self.hosts})


@contextmanager
def fleet(count: int) -> Iterator[Fleet]:
    """So many of them, fresh; nothing of them is left afterwards, also of a fleet before that was killed."""
    lower = _root()
    with locked(FOLDER.with_suffix(".lock"), "it has light hosts of its own", sys.stderr):
        down()
        try:
            with group(NAME) as all_hosts:
                yield _up(count, lower, all_hosts)
        finally:
            down()


def down() -> None:
    """End every light host, and take away what it had."""
    for each in Path("/proc").glob("[0-9]*"):
        line = _command_line(each)
        # The namespace's first process: all others end with it.
        if str(SHELL / "boot") in line and line[0].endswith("unshare"):
            os.kill(int(each.name), signal.SIGKILL)
    listed = run(["ip", "netns", "list"], what="listing network namespaces").split()
    _ip(f"netns delete {name}" for name in listed if name.startswith(f"{NAME}-"))
    if Path("/sys/class/net", NAME).exists():
        _ip([f"link delete {NAME}"])
    while os.path.ismount(FOLDER):
        run(["umount", "--lazy", str(FOLDER)], what="unmounting the light hosts' files")
    shutil.rmtree(FOLDER, ignore_errors=True)


def _up(count: int, lower: Path, all_hosts: Group) -> Fleet:
    hosts = tuple(Light(number) for number in range(count))
    FOLDER.mkdir(mode=0o700)
    run(["mount", "-t", "tmpfs", "-o", f"size={MEMORY},mode=700", "tmpfs", str(FOLDER)], what="memory for the hosts")
    key, host_key = _common()
    _ip([f"link add {NAME} type bridge", f"addr add 198.18.0.1/15 dev {NAME}", f"link set {NAME} up"])
    _ip(f"netns add {each.name}" for each in hosts)
    for each in hosts:
        for part in ("upper", "work", "root"):
            (each.folder / part).mkdir(parents=True)
        wire = f"{NAME}{each.number}"
        _ip(
            [
                f"link add {wire} type veth peer name eth0 netns {each.name}",
                f"link set {wire} master {NAME}",
                f"link set {wire} up",
                f"-netns {each.name} addr add {each.address}/15 dev eth0",
                f"-netns {each.name} link set eth0 up",
                f"-netns {each.name} link set lo up",
            ]
        )
        command = ["ip", "netns", "exec", each.name, "unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child"]
        subprocess.Popen(
            all_hosts.entering([*command, str(SHELL / "boot"), str(each.folder), str(lower), each.name]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    deadline = time.monotonic() + PATIENCE
    waiting = list(hosts)
    while waiting := [each for each in waiting if "Server listening" not in each.text("/var/log/sshd.log")]:
        if time.monotonic() > deadline:
            raise LabError(f"no sshd on {', '.join(each.name for each in waiting[:5])}; look at {waiting[0].folder}")
        time.sleep(0.1)
    return Fleet(hosts, key, host_key, all_hosts)


def _common() -> tuple[Path, str]:
    """What all hosts have besides the lower file system: keys, and the programs that stand in."""
    light = FOLDER / "light"
    key, host_key = FOLDER / "key", light / "etc/ssh/ssh_host_ed25519_key"
    for folder in (BIN, "etc/ssh", "root/.ssh"):
        (light / folder).mkdir(parents=True)
    for file in (key, host_key):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", NAME, "-f", str(file)], what="making a key")
    (light / "root").chmod(0o700)
    (light / "root/.ssh").chmod(0o700)
    shutil.copy(key.with_suffix(".pub"), light / "root/.ssh/authorized_keys")
    for each in SHELL.iterdir():
        if each.name != "boot":
            shutil.copy(each, light / BIN)
    kind, public, *_ = Path(f"{host_key}.pub").read_text().split()
    return key, f"{kind} {public}"


def _root() -> Path:
    """The lab hosts' root file system, unpacked."""
    source = hostimage.target() / hostimage.ROOTFS
    if not source.exists():
        raise LabError(
            "the lab has not been made from this checkout yet, and its hosts' file system is missing: lab/up"
        )

    def build(folder: Path) -> None:
        run(["tar", "-C", str(folder), "--exclude=./dev/*", "-xf", str(source)], what="unpacking the root file system")

    return cached(entry("fleet", [hostimage.target().name]), build)


def _ip(commands: Iterator[str] | list[str]) -> None:
    for command in commands:
        run(["ip", *command.split()], what="the light hosts' network")


def _command_line(process: Path) -> list[str]:
    try:
        return (process / "cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []
