"""A hosted registry's data where it is: in a volume on a host, or in a bucket that the host reaches.

A program that is sent to the host lists it, sends it and takes it in (volume_files, bucket_files); nothing stays there.
"""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from documents import garbage_collection
from hostctl.package import archive_of
from hostctl.units.garbage_collection import gate, service, timer
from ops import volume_files
from ops.checkpoint import PROJECT_NAME
from ops.configuration import write_known_hosts
from ops.ssh import environment, on_host, ssh
from ops.stack import PROJECT, Stack, StackError
from settings.registries import HostedRegistry
from settings.tier import Host, Tier

PROGRAM = Path(volume_files.__file__).read_text()
HERE = Path(__file__).parent
GARBAGE_COLLECTION = HERE.parent / "garbage_collection"
BOOT = """
import base64, os, sys
sys.dont_write_bytecode = True
memory = os.memfd_create("bucket_files")
with open(memory, "wb", closefd=False) as file:
    file.write(base64.b64decode(sys.stdin.buffer.readline()))
sys.path.insert(0, f"/proc/self/fd/{memory}")
from ops.bucket_files import main
main(sys.argv[1])
"""
SETTLE = 1.0
"""Seconds after which the registry has stored what nginx had let through (garbage_collection.stores)."""


@dataclass(frozen=True)
class Place:
    """The registry's volume on one host."""

    stack: Stack
    host: Host
    known_hosts: Path
    volume: str

    def run(self, command: str, stdin: str | None = None) -> str:
        """What a command prints. Raises StackError where it fails."""
        done = on_host(self.stack, self.host, self.known_hosts, command, stdin)
        if done.returncode != 0:
            why = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise StackError(f"{self.host.name}: {''.join(why) or f'exit status {done.returncode}'}")
        return done.stdout

    def program(self, action: str) -> str:
        """The command that does something with the registry's files."""
        return f"python3 -c {shlex.quote(PROGRAM)} {action} {self.volume}"

    def given(self) -> str:
        """What the program reads before anything else."""
        return ""

    def make(self) -> None:
        """See to it that there is a place for files."""
        label = f"http-registry.stack={PROJECT_NAME}/{self.stack.name}"
        self.run(f"docker volume create --label {label} {self.volume} >/dev/null")

    def listing(self) -> dict[str, str]:
        """See volume_files."""
        found: dict[str, str] = json.loads(self.run(self.program("list"), self.given()))
        return found

    def sender(self, paths: Sequence[str]) -> subprocess.Popen[bytes]:
        """Sends these files as a tar stream on its stdout."""
        process = self._start("send", stdin=subprocess.PIPE)
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write((self.given() + json.dumps(list(paths))).encode())
        return process

    def receiver(self, source: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Takes a tar stream in; see volume_files."""
        return self._start("receive", stdin=source)

    def take(self, write: Callable[[IO[bytes]], None]) -> None:
        """Take in what `write` writes as a tar stream. Raises StackError where that fails."""
        process = self.receiver(subprocess.PIPE)
        assert process.stdin is not None
        try:
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write(self.given().encode())
                write(process.stdin)
        except OSError as failure:
            process.wait()
            raise StackError(f"{failure.filename}: {failure.strerror}") from None
        self.told(process)

    def told(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        """What a receiver says in the end. Raises StackError where it failed, or names a blob that came broken."""
        output, errors = process.stdout, process.stderr
        assert output is not None
        assert errors is not None
        with output, errors:
            said, why = output.read(), errors.read().decode(errors="replace").strip()
        status = process.wait()
        if status != 0:
            raise StackError(f"{self.host.name}: the copy failed: {_last(why) or f'exit status {status}'}; try again")
        told: dict[str, Any] = json.loads(said)
        if wrong := told["wrong"]:
            raise StackError(
                f"{self.host.name}: {len(wrong)} blobs came with another content than their names say, such as "
                f"{wrong[0]}; delete the images that need them, or push them again"
            )
        return told

    def ended(self, process: subprocess.Popen[bytes]) -> None:
        """Raises StackError where a sender failed."""
        assert process.stderr is not None
        with process.stderr:
            why = process.stderr.read().decode(errors="replace").strip()
        if status := process.wait():
            raise StackError(f"{self.host.name}: the copy failed: {_last(why) or f'exit status {status}'}; try again")

    def _start(self, action: str, stdin: IO[bytes] | int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ssh(self.host, self.known_hosts, self.program(action)),
            env=environment(self.stack), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


@dataclass(frozen=True)
class BucketPlace(Place):
    """The registry's bucket, which its host reaches. `bucket`: as documents.garbage_collection has it, keys too."""

    bucket: Mapping[str, Any] = field(repr=False)

    def program(self, action: str) -> str:
        """See Place."""
        return f"python3 -I -c {shlex.quote(BOOT)} {action}"

    def given(self) -> str:
        """The program, then the bucket: a key is on no command line, and no file is made on the host."""
        library = {
            f"garbage_collection/{each}": GARBAGE_COLLECTION / each
            for each in ("__init__.py", "bucket.py", "stores.py")
        }
        library |= {f"ops/{each}": HERE / each for each in ("__init__.py", "volume_files.py", "bucket_files.py")}
        program = archive_of({name: path.read_bytes() for name, path in library.items()})
        return f"{base64.b64encode(program).decode()}\n{json.dumps(self.bucket)}\n"

    def make(self) -> None:
        """The bucket is somebody else's to make."""


def volume_of(stack: Stack, tier: Tier, registry: HostedRegistry, host: str) -> Place:
    """Where a registry keeps its images on a host, if not in a bucket."""
    return Place(stack, tier.host(host), write_known_hosts(stack.name), f"http-registry-{registry.name}")


def data_of(stack: Stack, tier: Tier, registry: HostedRegistry) -> Place:
    """Where a registry keeps its images by the settings. Raises StackError where a bucket's keys are not set."""
    place = volume_of(stack, tier, registry, registry.host)
    s3 = registry.storage.s3
    if s3 is None:
        return place
    authority = (PROJECT / s3.authority).read_text() if s3.authority else None
    try:
        bucket = garbage_collection.bucket(registry.name, s3, authority, stack.secrets())
    except KeyError as missing:
        raise StackError(f"{registry.name}: the secret {missing} is not set, which opens its bucket") from None
    return BucketPlace(stack, place.host, place.known_hosts, place.volume, bucket)


def hold(place: Place, name: str) -> None:
    """Have the proxy hold off pushes to a registry. A garbage collection would let them in when it ends."""
    folder, _, _ = gate(name).rpartition("/")
    stop = f"systemctl -q is-enabled {timer(name)} 2>/dev/null && systemctl stop {timer(name)} {service(name)}"
    place.run(f"{stop}; mkdir -p {folder} && touch {gate(name)}")


def release(place: Place, name: str) -> None:
    """Let pushes in again."""
    folder, _, _ = gate(name).rpartition("/")
    start = f"if systemctl -q is-enabled {timer(name)} 2>/dev/null; then systemctl start {timer(name)}; fi"
    place.run(f"rm -f {gate(name)}; rmdir {folder} 2>/dev/null; {start}")


def say(text: str) -> None:
    """Tell a person."""
    print(text, flush=True)


def _last(text: str) -> str:
    return "".join(text.splitlines()[-1:])
