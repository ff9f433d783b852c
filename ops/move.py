"""A hosted registry's images taken to another host, before the settings say that it is there.

First while the registry is at work; then once more, which is short, while nginx holds pushes off as it does for the
garbage collection. They stay held off until `up` has brought the registry up on its new host, or until `let_in`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hostctl.units.garbage_collection import gate
from ops import volume_files
from ops.configuration import tier_of
from ops.registry_data import SETTLE, Place, hold, release, say, volume_of
from ops.stack import Stack, StackError
from settings.registries import HostedRegistry
from settings.tier import Tier

SMALL = 64 << 20
"""Bytes that are still to be copied at which pushes are held off."""
ROUNDS = 5
"""Copies while pushes go on, at most."""


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
        say(f"{name} keeps its images in a bucket: nothing is to be copied. {_next(tier, registry, to)}")
        return
    source, target = volume_of(stack, tier, registry, registry.host), volume_of(stack, tier, registry, to)
    target.make()
    users = target.run(f"docker ps --all --filter volume={target.volume} --format '{{{{.Names}}}}'").split()
    if users:
        raise StackError(f"{to}: {', '.join(users)} has the volume {target.volume} there; it would lose what it has")
    for _ in range(ROUNDS):
        copied = _copy(source, target)
        if copied < SMALL:
            break
    if not tier.behind_proxy(registry):
        say(f"no proxy is before {name}, so nobody holds pushes off: see to it that nobody pushes until 'up' is done")
    began = time.monotonic()
    hold(source, name)
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
    say(f"{to} has the same images as {registry.host}; the copy under the hold took {time.monotonic() - began:.1f} s.")
    say(f"Pushes to {name} get 503 from now on, pulls go on. {_next(tier, registry, to)}")
    say("To stay where it is: the same command with BACK=--back.")


def let_in(stack: Stack, name: str) -> None:
    """Let pushes in again where the registry is, after a move that is not to be."""
    tier = tier_of(stack.name)
    registry = _registry(tier, name)
    where = volume_of(stack, tier, registry, registry.host)
    release(where, name)
    say(f"{name} stays on {registry.host}: pushes are let in again.")


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
    say(
        f"{source.host.name} -> {target.host.name}: {len(difference.missing)} files with {difference.size} bytes of "
        f"blobs copied, {len(difference.surplus)} removed"
    )
    return difference.size


def _send(source: Place, target: Place, paths: list[str]) -> None:
    """A stream from host to host, through here. Raises StackError where an end fails or a blob has arrived broken."""
    sender = source.sender(paths)
    assert sender.stdout is not None
    receiver = target.receiver(sender.stdout)
    sender.stdout.close()  # where the receiver ends early, the sender hears of it
    try:
        target.told(receiver)
    finally:
        source.ended(sender)


def _registry(tier: Tier, name: str) -> HostedRegistry:
    hosted = {each.name: each for each in tier.registries if isinstance(each, HostedRegistry)}
    if name not in hosted:
        raise StackError(f"REGISTRY={name}: no hosted registry has this name; there are: {', '.join(hosted) or 'none'}")
    return hosted[name]


def _next(tier: Tier, registry: HostedRegistry, to: str) -> str:
    proxy = " (and proxy.host)" if tier.behind_proxy(registry) else ""
    return (
        f"Now say host: {to}{proxy} in the stack's file, 'make up STACK=… HOST={to}', let the name that clients use "
        "lead there, then 'make up STACK=…'."
    )
