"""What the hosts that serve are asked, and which findings of clients end with a finding there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ops.doctor_found import Found
from settings.tier import Tier


def served(tier: Tier, host: str) -> dict[str, Any] | None:
    """What of the tier this host serves, for `doctor.server.look`; None where it serves nothing."""
    del tier, host
    return None


def folded(tier: Tier, found: Sequence[Found]) -> list[Found]:
    """One finding a reason: what a server's finding explains (`Cause.explains`) becomes its consequence."""
    del tier
    return list(found)
