"""Whether something grows for as long as there is work to do: the judgement of `make soak`. Pure.

A cache or a pool fills up and stays as it is; a leak goes on. So the first third of the samples does not count, and of
the rest the slope is the median of the slopes between all pairs (Theil and Sen), which a moment's peak does not move.
Over the time that was watched it may come to a tenth of the median, or to `SLACK` where that is more: what an allocator
gives back late is no leak.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import NamedTuple

SHARE = 0.1
LEAST = 6
"""Samples that there must be after the first third."""


class Growth(NamedTuple):
    """`median`: of what counts. `grown`: by the slope, from its first sample to its last. `most`: that may be."""

    median: float
    highest: float
    grown: float
    most: float

    @property
    def grows(self) -> bool:
        """Whether it is too much."""
        return self.grown > self.most


def growth(samples: Sequence[tuple[float, float]], slack: float) -> Growth:
    """Of samples (seconds, value), oldest first. Raises ValueError where there are too few."""
    counted = samples[len(samples) // 3 :]
    if len(counted) < LEAST:
        raise ValueError(f"{len(counted)} samples tell nothing; run it longer")
    slope = median((b - a) / (then - now) for (now, a), (then, b) in combinations(counted, 2) if then > now)
    usual = median(value for _, value in counted)
    grown = slope * (counted[-1][0] - counted[0][0])
    return Growth(usual, max(value for _, value in counted), grown, max(SHARE * usual, slack))
