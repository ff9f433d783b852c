"""A hosted registry's images taken to another host, before the settings say that it is there.

First while the registry is at work; then once more, which is short, while nginx holds pushes off as it does for the
garbage collection. They stay held off until `up` has brought the registry up on its new host, or until `let_in`.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hostctl.units.garbage_collection import gate, service, timer
from ops import volume_files
from ops.checkpoint import PROJECT_NAME
from ops.configuration import tier_of, write_known_hosts
from ops.ssh import environment, on_host, ssh
from ops.stack import Stack, StackError
from settings.registries import HostedRegistry
from settings.tier import Host, Tier

PROGRAM = Path(volume_files.__file__).read_text()
SETTLE = 1.0
"""Seconds after which the registry has stored what nginx had let through (garbage_collection.stores)."""
SMALL = 64 << 20
"""Bytes that are still to be copied at which pushes are held off."""
ROUNDS = 5
"""Copies while pushes go on, at most."""


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
        """The command that does something with the volume's files."""
        return f"python3 -c {shlex.quote(PROGRAM)} {action} {self.volume}"

    def listing(self) -> dict[str, str]:
        """See volume_files."""
        found: dict[str, str] = json.loads(self.run(self.program("list")))
        return found


@dataclass(frozen=True)
class Difference:
    """What one volume lacks of another, blobs first, and what it has too much."""

    missing: list[str]
    surplus: list[str]
    size: int
    """Bytes of the blobs that are missing."""

    @staticmethod
    def between(source: Mapping[str, str], target: Mapping[str, str]) -> Difference:
        """From listings of both. A link comes after the blobs that it leads to."""
        missing = sorted(path for path, what in source.items() if target.get(path) != what)
        size = sum(int(source[path]) for path in missing if volume_files.BLOB.fullmatch(path))
        return Difference(missing, sorted(set(target) - set(source)), size)


def move(stack: Stack, name: str, to: str) -> None:
    """Copy the registry's images to the host `to`, and leave pushes held off; prints what it does.

    Raises StackError where that can't be; pushes are let in again then.
    """
    tier = tier_of(stack.name)
    registry = _registry(tier, name)
    if to not in [each.name for each in tier.hosts]:
        raise StackError(f"TO={to}: the settings of {stack.name} have no such host; add it, and run 'make up'")
    if registry.host == to:
        raise StackError(f"TO={to}: {name} is there by the settings; change them after the move, not before")
    if registry.storage.s3:
        _say(f"{name} keeps its images in a bucket: nothing is to be copied. {_next(tier, registry, to)}")
        return
    source, target = _place(stack, tier, registry, registry.host), _place(stack, tier, registry, to)
    label = f"http-registry.stack={PROJECT_NAME}/{stack.name}"
    users = target.run(
        f"docker volume create --label {label} {target.volume} >/dev/null"
        f" && docker ps --all --filter volume={target.volume} --format '{{{{.Names}}}}'"
    ).split()
    if users:
        raise StackError(f"{to}: {', '.join(users)} has the volume {target.volume} there; it would lose what it has")
    for _ in range(ROUNDS):
        copied = _copy(source, target)
        if copied < SMALL:
            break
    if not tier.behind_proxy(registry):
        _say(f"no proxy is before {name}, so nobody holds pushes off: see to it that nobody pushes until 'up' is done")
    began = time.monotonic()
    _hold(source, name)
    try:
        time.sleep(SETTLE)
        _copy(source, target)
        if len({json.dumps(each, sort_keys=True) for each in _listings(source, target)}) > 1:
            raise StackError(f"{to}: has not the same images as {registry.host}; try again")
    except BaseException:
        let_in(stack, name)
        raise
    # Left there by a move the other way.
    target.run(f"rm -f {gate(name)}")
    _say(f"{to} has the same images as {registry.host}; the copy under the hold took {time.monotonic() - began:.1f} s.")
    _say(f"Pushes to {name} get 503 from now on, pulls go on. {_next(tier, registry, to)}")
    _say("To stay where it is: the same command with BACK=--back.")


def let_in(stack: Stack, name: str) -> None:
    """Let pushes in again where the registry is, after a move that is not to be."""
    tier = tier_of(stack.name)
    registry = _registry(tier, name)
    where = _place(stack, tier, registry, registry.host)
    where.run(f"rm -f {gate(name)}; if systemctl -q is-enabled {timer(name)}; then systemctl start {timer(name)}; fi")
    _say(f"{name} stays on {registry.host}: pushes are let in again.")


def _hold(source: Place, name: str) -> None:
    """A garbage collection would let pushes in when it ends."""
    folder, _, _ = gate(name).rpartition("/")
    stop = f"systemctl -q is-enabled {timer(name)} 2>/dev/null && systemctl stop {timer(name)} {service(name)}"
    source.run(f"{stop}; mkdir -p {folder} && touch {gate(name)}")


def _listings(source: Place, target: Place) -> tuple[dict[str, str], dict[str, str]]:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(Place.listing, (source, target))
    return one, other


def _copy(source: Place, target: Place) -> int:
    """Make the target's files the source's; returns how many bytes of blobs went over."""
    difference = Difference.between(*_listings(source, target))
    if difference.missing:
        _send(source, target, difference.missing)
    if difference.surplus:
        target.run(target.program("remove"), json.dumps(difference.surplus))
    _say(
        f"{source.host.name} -> {target.host.name}: {len(difference.missing)} files with {difference.size} bytes of "
        f"blobs copied, {len(difference.surplus)} removed"
    )
    return difference.size


def _send(source: Place, target: Place, paths: list[str]) -> None:
    """A stream from host to host, through here. Raises StackError where an end fails or a blob has arrived broken."""
    stack = source.stack
    command = ssh(source.host, source.known_hosts, source.program("send"))
    with subprocess.Popen(
        command, env=environment(stack), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as sender:
        assert sender.stdin is not None
        assert sender.stdout is not None
        assert sender.stderr is not None
        receiver = subprocess.Popen(
            ssh(target.host, target.known_hosts, target.program("receive")),
            env=environment(stack), stdin=sender.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        sender.stdout.close()  # where the receiver ends early, the sender hears of it
        with suppress(BrokenPipeError):
            sender.stdin.write(json.dumps(paths).encode())
            sender.stdin.close()
        told, errors = receiver.communicate()
        said = sender.stderr.read().decode(errors="replace")
        sender.wait()
    for place, status, text in ((source, sender.returncode, said), (target, receiver.returncode, errors)):
        if status != 0:
            raise StackError(
                f"{place.host.name}: the copy failed: {text.strip() or f'exit status {status}'}; try again"
            )
    wrong = json.loads(told)["wrong"]
    if wrong:
        raise StackError(
            f"{source.host.name}: {len(wrong)} blobs have not the content that their names say, such as {wrong[0]}; "
            "delete the images that need them, or push them again"
        )


def _registry(tier: Tier, name: str) -> HostedRegistry:
    hosted = {each.name: each for each in tier.registries if isinstance(each, HostedRegistry)}
    if name not in hosted:
        raise StackError(f"REGISTRY={name}: no hosted registry has this name; there are: {', '.join(hosted) or 'none'}")
    return hosted[name]


def _place(stack: Stack, tier: Tier, registry: HostedRegistry, host: str) -> Place:
    return Place(stack, tier.host(host), write_known_hosts(stack.name), f"http-registry-{registry.name}")


def _next(tier: Tier, registry: HostedRegistry, to: str) -> str:
    proxy = " (and proxy.host)" if tier.behind_proxy(registry) else ""
    return (
        f"Now say host: {to}{proxy} in the stack's file, 'make up STACK=… HOST={to}', let the name that clients use "
        "lead there, then 'make up STACK=…'."
    )


def _say(text: str) -> None:
    print(text, flush=True)
