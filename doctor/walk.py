"""A walk along the way of one pull, step by step, up to the first break."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional, Tuple

from doctor.finding import BROKEN, Seen
from doctor.pull import Endpoint, Pull
from hostctl.host import Host


@dataclass
class Walk:
    """What the steps at one endpoint have learnt so far, each for those behind it."""

    host: Host
    pull: Pull
    endpoint: Endpoint
    clock: float
    """The controller's time, in seconds since 1970, at the request; `asked_at`: this host's, at the same moment."""
    asked_at: float
    addresses: List[str] = field(default_factory=list)
    """The endpoint's name resolved."""
    headers: Dict[str, str] = field(default_factory=dict)
    """What the manifest's and the blob's requests must carry, as a login has brought it; secret."""
    manifest: Optional[bytes] = None
    """The manifest of this host's platform."""


Step = Callable[[Walk], Seen]


def walked(walk: Walk, steps: Tuple[Step, ...]) -> List[Seen]:
    """What each step saw, up to the first that is broken."""
    seen: List[Seen] = []
    for step in steps:
        seen.append(step(walk))
        if seen[-1].state == BROKEN:
            break
    return seen
