"""The tails of the runtimes' journals: lines that the catalogue knows (`Cause.said`)."""

from __future__ import annotations

from typing import List

from doctor.finding import Seen
from doctor.pull import Pull
from hostctl.host import Host


def evidence(host: Host, pull: Pull, seen: List[Seen]) -> List[Seen]:
    """The walk of one pull with the runtime's own words: as evidence of its finding, or as a finding where it has none.

    Called once for each pull, after its walk.
    """
    del host, pull
    return seen
