"""Counters and histograms, kept over restarts, and all figures as Prometheus reads them.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/, text format 0.0.4.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

Labels = Tuple[str, ...]
SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 1280)
"""The histogram's bounds."""
MOST = 2000
"""Label sets of one family. Names come from who asks, and each set costs memory here and in Prometheus."""
OTHER = "other"


@dataclass(frozen=True)
class Family:
    """A metric: its name, what it says, the names of its labels, and its kind."""

    name: str
    says: str
    labels: Labels
    kind: str = "counter"


class Counted:
    """The values of a counter or histogram by label values: a histogram's are its buckets, sum last.

    A new series is shown as 0 once, before its value: what it starts with would be lost to `increase()`.
    """

    def __init__(self, family: Family, data: Optional[Iterable[Any]] = None) -> None:
        self.family = family
        self._size = len(SECONDS) + 2 if family.kind == "histogram" else 1
        self._values: Dict[Labels, List[float]] = {}
        self._shown: Dict[Labels, bool] = {}
        for labels, values in data or ():
            if len(values) == self._size and len(labels) == len(family.labels):
                key = tuple(map(text_of, labels))
                self._values[key], self._shown[key] = list(map(number_of, values)), True

    def as_data(self) -> List[Any]:
        """As JSON has it."""
        return [[list(labels), values] for labels, values in self._values.items()]

    def add(self, labels: Sequence[str], amount: float = 1.0) -> None:
        """Count so much more."""
        self._of(labels)[0] += amount

    def watch(self, labels: Sequence[str], seconds: float) -> None:
        """Count a time in."""
        values = self._of(labels)
        values[bisect_left(SECONDS, seconds)] += 1
        values[-1] += seconds

    def text(self) -> Iterable[str]:
        """Its lines."""
        yield from _head(self.family)
        for labels, values in sorted(self._values.items()):
            shown = values if self._shown.get(labels) else [0.0] * self._size
            self._shown[labels] = True
            if self.family.kind == "counter":
                yield _line(self.family.name, self.family.labels, labels, shown[0])
                continue
            total = 0.0
            for bound, count in zip([*(f"{each:g}" for each in SECONDS), "+Inf"], shown):
                total += count
                yield _line(f"{self.family.name}_bucket", (*self.family.labels, "le"), (*labels, bound), total)
            yield _line(f"{self.family.name}_sum", self.family.labels, labels, shown[-1])
            yield _line(f"{self.family.name}_count", self.family.labels, labels, total)

    def _of(self, labels: Sequence[str]) -> List[float]:
        key = tuple(labels)
        if key not in self._values and len(self._values) >= MOST:
            # The registry, and how it ended, are ours and stay.
            named = zip(self.family.labels, key)
            key = tuple(OTHER if name in ("client", "repository") else value for name, value in named)
        return self._values.setdefault(key, [0.0] * self._size)


def gauges(family: Family, values: Mapping[Labels, float]) -> Iterable[str]:
    """The lines of what is measured anew each time."""
    if values:
        yield from _head(family)
        for labels, value in sorted(values.items()):
            yield _line(family.name, family.labels, labels, value)


def number_of(kept: Any) -> float:
    """A number of those that were written down. Raises TypeError, ValueError."""
    if isinstance(kept, bool) or not isinstance(kept, (int, float)):
        raise TypeError("a number")
    if not math.isfinite(kept):
        raise ValueError("a number without end")
    return kept


def text_of(kept: Any) -> str:
    """A text of those that were written down. Raises TypeError."""
    if not isinstance(kept, str):
        raise TypeError("a text")
    return kept


def _head(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {family.says}"
    yield f"# TYPE {family.name} {family.kind}"


def _line(name: str, names: Labels, labels: Labels, value: float) -> str:
    pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in zip(names, labels))
    return f"{name}{{{pairs}}} {value:.17g}" if pairs else f"{name} {value:.17g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
