"""How pulumi works on a stack with many hosts.

Before and after each step of an `up` it writes the whole state anew (SnapshotManager of pkg/backend, v3.274.1), to a
backend of files as to a bucket, so that twice the hosts take four times as long: docs/fleet.md. An `up` or a `destroy`
of many hosts has it written once, at its end, also where it fails. One that is killed leaves the state of before, and
each step is taken again by the next: hostctl finds it done, and what Docker has is compared with the state first
(ops.recovery).

And it takes four steps at a time for each processor here, while most of a step is a wait for a host.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

MANY = 20
"""Below, the writing costs less than a second."""
AT_ONCE = 64
ONCE: Mapping[str, str] = {"PULUMI_SKIP_CHECKPOINTS": "true"}


def are_many(hosts: int) -> bool:
    """Whether the state of so many hosts is written once."""
    return hosts >= MANY


def variables(hosts: int) -> Mapping[str, str]:
    """Those for a command on so many hosts."""
    return {**ONCE, "PULUMI_PARALLEL": str(min(hosts, AT_ONCE))} if are_many(hosts) else {}


def prepare(environment: MutableMapping[str, str], hosts: int) -> None:
    """Put them into the environment of a command; where somebody has set one himself, that counts."""
    for name, value in variables(hosts).items():
        environment.setdefault(name, value)
