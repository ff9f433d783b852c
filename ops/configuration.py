"""A stack's settings without the engine: read from its file, and checked."""

from __future__ import annotations

from pathlib import Path

from hostctl.whole_file import write_whole
from ops.deployment import references
from ops.stack import PROJECT, Stack, StackError
from ops.stack_file import plain_settings
from settings import SettingsError, Tier, parse
from settings.known_hosts import host_keys, render
from settings.upstream_stack import resolved, stacks


def tier_of(stack: str) -> Tier:
    """The settings of a stack; secrets are left out. Raises StackError that lists what is wrong."""
    try:
        return parse(plain_settings(stack), stack=stack)
    except SettingsError as wrong:
        raise StackError(str(wrong)) from None


def resolved_tier(stack: Stack) -> Tier:
    """The settings of a stack, with the upstreams that other stacks' outputs have said at its last `up`.

    Before its first one, and where a new cache has not been up yet, those are still empty.
    """
    tier = tier_of(stack.name)
    if not stacks(tier):
        return tier
    outputs = references(stack.state(secrets=True)["deployment"])
    try:
        return resolved(tier, outputs).tier
    except SettingsError:
        return tier


def write_known_hosts(stack: str) -> Path:
    """Write the file with the hosts' keys that the `ssh` of Docker's connections reads; returns its path.

    The program writes the same one, but `destroy` and `refresh` do not run it. Raises StackError that lists the hosts
    without a key.
    """
    tier = tier_of(stack)
    file = PROJECT / ".work" / f"known_hosts.{stack}"
    try:
        known = (PROJECT / tier.known_hosts).read_text() if tier.known_hosts else ""
        write_whole(file, render(tier, host_keys(tier, known)).encode())
    except (SettingsError, OSError) as wrong:
        raise StackError(str(wrong)) from None
    return file
