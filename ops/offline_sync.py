"""Bundles by hand: made, verified, loaded, pruned on the host that the settings name, its words shown as they come."""

from __future__ import annotations

import shlex
import subprocess

from hostctl.units.offline_sync import CONFIG, PROGRAM
from ops.configuration import tier_of, write_known_hosts
from ops.ssh import environment, ssh
from ops.stack import Stack, StackError
from settings.offline_sync import OfflineSync

NOT_THERE = "the program is not on this host yet: run 'make up' first"


def make_bundle(stack: Stack) -> None:
    """Make the bundle of the list, or bring it up to date. Raises StackError where that fails."""
    if not _settings(stack).images:
        raise StackError("offline_sync of this stack has no images to make a bundle of; add some and run 'make up'")
    _run(stack, "bundle", CONFIG)


def verify_bundle(stack: Stack, bundle: str) -> None:
    """Read every byte of a bundle on the host; the stack's own folder if `bundle` is empty."""
    _run(stack, "verify", bundle or _settings(stack).folder)


def load_bundle(stack: Stack, bundle: str) -> None:
    """Verify a bundle on the host, then load it; the stack's own folder if `bundle` is empty."""
    if not _settings(stack).into:
        raise StackError("offline_sync of this stack does not say which registry takes a bundle; add into")
    _run(stack, "load", CONFIG, bundle or _settings(stack).folder)


def prune(stack: Stack, *, really: bool) -> None:
    """Show what left the list; with `really` it goes."""
    _run(stack, "prune", CONFIG, *(["--yes"] if really else []))


def _settings(stack: Stack) -> OfflineSync:
    sync = tier_of(stack.name).offline_sync
    if sync is None:
        raise StackError("this stack has no offline_sync; add it to its settings and run 'make up'")
    return sync


def _run(stack: Stack, *arguments: str) -> None:
    tier = tier_of(stack.name)
    host = tier.host(_settings(stack).host)
    program = " ".join(["python3", "-I", "-B", PROGRAM, *map(shlex.quote, arguments)])
    command = f"[ -e {CONFIG} ] || {{ echo {shlex.quote(NOT_THERE)} >&2; exit 1; }}; exec {program}"
    done = subprocess.run(
        ssh(host, write_known_hosts(stack.name), command),
        env=environment(stack), stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise StackError(f"{host.name}: {arguments[0]} failed (what it said is above)")
