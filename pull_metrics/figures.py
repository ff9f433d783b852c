"""What is counted of requests and pulls, and what of it the last hours were like."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any, Deque, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from pull_metrics.access_log import Request
from pull_metrics.pull import CANCELLED, FAILED, SUCCEEDED, Pull
from pull_metrics.pulls import CANARY
from pull_metrics.series import Counted, Family, number_of

PULLS = Family(
    "http_registry_pulls_total",
    "Pulls by how they ended, as their user saw it.",
    ("registry", "client", "runtime", "repository", "outcome", "reason"),
)
ENDED = Family(
    "http_registry_pulls_ended_total",
    "The same in sum, there from the start: what has no past can't be compared with what has.",
    ("registry", "outcome"),
)
BY_CLIENT = Family(
    "http_registry_pull_seconds",
    "First request to last byte of pulls that succeeded and fetched blobs.",
    ("registry", "client", "runtime"),
    "histogram",
)
BY_REPOSITORY = Family(
    "http_registry_repository_pull_seconds", "The same by repository.", ("registry", "repository"), "histogram"
)
SERVED = Family("http_registry_served_bytes_total", "Bytes of manifests and blobs sent to clients.", ("registry",))
FETCHED = Family("http_registry_fetched_bytes_total", "Bytes of them that came from behind the proxy.", ("registry",))
LOOKUPS = Family(
    "http_registry_cache_lookups_total", "Lookups in the proxy's cache, slice by slice.", ("registry", "result")
)
LINES = Family("http_registry_log_lines_total", "Lines of the access log that were read.", ("result",))
FAMILIES = (PULLS, ENDED, BY_CLIENT, BY_REPOSITORY, SERVED, FETCHED, LOOKUPS, LINES)
FROM_THE_START: Mapping[Family, Sequence[Sequence[str]]] = {
    ENDED: [[SUCCEEDED], [FAILED], [CANCELLED]],
    SERVED: [[]],
    FETCHED: [[]],
    LOOKUPS: [["hit"], ["miss"]],
}
"""The label values behind the registry's."""

STEP = 300
"""Seconds of a point in the status page's charts."""
POINTS = 288
"""How many there are: a day."""
HOUR = 12
"""What of them is now."""
MOST_TIMES = 500


@dataclass
class Point:
    """Sums of one step. `at`: its start, seconds since 1970. `storage`: bytes at its end."""

    at: int
    succeeded: int = 0
    failed: int = 0
    hits: int = 0
    lookups: int = 0
    storage: int = 0
    times: List[float] = field(default_factory=list)

    @staticmethod
    def kept(data: Mapping[str, Any]) -> Point:
        """One that was written down. Raises TypeError, ValueError."""
        numbers = {name: int(number_of(each)) for name, each in data.items() if name != "times"}
        return Point(**numbers, times=list(map(number_of, data.get("times", []))))


class Figures:
    """Everything that is kept. `registries`: their names by the endpoint that serves them."""

    def __init__(self, registries: Mapping[Tuple[str, int], str], data: Optional[Mapping[str, Any]] = None) -> None:
        known = data or {}
        self._registries = registries
        self._counted = {each.name: Counted(each, known.get(each.name)) for each in FAMILIES}
        for registry in set(registries.values()):
            for family, values in FROM_THE_START.items():
                for each in values:
                    self._counted[family.name].add([registry, *each], 0)
        self._points: Deque[Point] = deque(map(Point.kept, known.get("points", [])), POINTS)

    def as_data(self) -> Dict[str, Any]:
        """As JSON has it."""
        return {
            **{name: each.as_data() for name, each in self._counted.items()},
            "points": [asdict(each) for each in self._points],
        }

    def text(self) -> Iterable[str]:
        """The lines for Prometheus."""
        for each in self._counted.values():
            yield from each.text()

    def line(self, understood: bool) -> None:
        """A line of the log was read."""
        self._counted[LINES.name].add(["request" if understood else "other"])

    def serves(self, request: Request) -> bool:
        """Whether an endpoint of ours was asked."""
        return request.endpoint in self._registries

    def request(self, request: Request) -> None:
        """Count the bytes and lookups of an answer, or of a slice of one."""
        if not request.kind or request.method not in ("GET", "HEAD") or request.repository == CANARY:
            return
        registry = self._registries[request.endpoint]
        if request.status < 400 and not request.slice:
            self._counted[SERVED.name].add([registry], request.sent)
        self._counted[FETCHED.name].add([registry], request.fetched)
        if request.looked_up:
            self._counted[LOOKUPS.name].add([registry, "hit" if request.cached else "miss"])
            point = self._point(request.ended)
            point.lookups += 1
            point.hits += request.cached

    def pull(self, pull: Pull) -> None:
        """Count a pull that has ended; not one that began at an endpoint which is gone since the last restart."""
        registry = self._registries.get(pull.endpoint)
        if registry is None:
            return
        outcome, reason = pull.outcome()
        self._counted[PULLS.name].add([registry, pull.client, pull.runtime, pull.repository, outcome, reason])
        self._counted[ENDED.name].add([registry, outcome])
        point = self._point(pull.ended)
        point.succeeded += outcome == SUCCEEDED
        point.failed += outcome == FAILED
        if outcome == SUCCEEDED and pull.blobs:
            self._counted[BY_CLIENT.name].watch([registry, pull.client, pull.runtime], pull.seconds)
            self._counted[BY_REPOSITORY.name].watch([registry, pull.repository], pull.seconds)
            if len(point.times) < MOST_TIMES:
                point.times.append(round(pull.seconds, 3))

    def stored(self, now: float, used: int) -> None:
        """Note how many bytes are stored."""
        self._point(now).storage = used

    def summary(self, now: float, limit: int) -> Dict[str, Any]:
        """The status page's four figures: of the last hour, and their history of a day. `limit`: bytes on disk.

        None where nothing was pulled.
        """
        recent = [each for each in self._points if each.at > now - HOUR * STEP]
        times = sorted(time for each in recent for time in each.times)
        points = list(self._points)
        return {
            "pull_success_rate": {"now": _rate(recent), "history": _history(points, lambda each: _rate([each]))},
            "pull_seconds": {
                "average": _average(times),
                "p95": times[min(len(times) - 1, int(len(times) * 0.95))] if times else None,
                "history": _history(points, lambda each: _average(each.times)),
            },
            "storage_bytes": {
                "now": points[-1].storage if points else None,
                "limit": limit,
                "history": _history(points, lambda each: each.storage or None),
            },
            "cache_hit_rate": {"now": _hits(recent), "history": _history(points, lambda each: _hits([each]))},
        }

    def _point(self, at: float) -> Point:
        """The last one; what ended before it began counts as of it."""
        start = int(at) // STEP * STEP
        if not self._points or self._points[-1].at < start:
            self._points.append(Point(start, storage=self._points[-1].storage if self._points else 0))
        return self._points[-1]


def _rate(points: List[Point]) -> Optional[float]:
    ended = sum(each.succeeded + each.failed for each in points)
    return sum(each.succeeded for each in points) / ended if ended else None


def _hits(points: List[Point]) -> Optional[float]:
    lookups = sum(each.lookups for each in points)
    return sum(each.hits for each in points) / lookups if lookups else None


def _average(times: List[float]) -> Optional[float]:
    return sum(times) / len(times) if times else None


def _history(points: List[Point], value: Any) -> List[Tuple[int, float]]:
    return [(each.at, found) for each in points for found in [value(each)] if found is not None]
