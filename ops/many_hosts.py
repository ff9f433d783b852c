"""When pulumi writes the state of a stack with many hosts.

Before and after each step of an `up` it writes all of it anew (SnapshotManager of pkg/backend, v3.274.1), to a backend
of files as to a bucket, so that twice the hosts take four times as long: docs/fleet.md. A first `up` of many hosts has
it written once, at its end. One that is killed then leaves a state that knows nothing, and ops.recovery treats that as
it treats any crash: what the state does not know is removed, or made so again by the next `up`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MANY = 20
"""Below, the writing costs less than a second."""
ONCE: Mapping[str, str] = {"PULUMI_SKIP_CHECKPOINTS": "true"}
AFTER_EACH_STEP: Mapping[str, str] = {}


def writing(hosts: int, deployment: Mapping[str, Any]) -> Mapping[str, str]:
    """The variable for an `up` of so many hosts on a stack with that deployment."""
    return ONCE if hosts >= MANY and not deployment.get("resources") else AFTER_EACH_STEP
