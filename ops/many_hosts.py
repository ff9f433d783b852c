"""When pulumi writes the state of a stack with many hosts.

Before and after each step of an `up` it writes all of it anew (SnapshotManager of pkg/backend, v3.274.1), to a backend
of files as to a bucket, so that twice the hosts take four times as long: docs/fleet.md. An `up` of many hosts has it
written once, at its end, also where it fails. One that is killed leaves the state of before, and each step is taken
again by the next `up`: hostctl finds it done, and what Docker has is compared with the state first (ops.recovery).
"""

from __future__ import annotations

from collections.abc import Mapping

MANY = 20
"""Below, the writing costs less than a second."""
ONCE: Mapping[str, str] = {"PULUMI_SKIP_CHECKPOINTS": "true"}
AFTER_EACH_STEP: Mapping[str, str] = {}


def writing(hosts: int) -> Mapping[str, str]:
    """The variable for an `up` of so many hosts."""
    return ONCE if hosts >= MANY else AFTER_EACH_STEP
