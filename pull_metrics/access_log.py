"""A line of the proxy's access log as a request (its fields: documents/nginx_log.py, LOG_FIELDS)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Mapping, Optional, Tuple

OBJECT = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/?]+)(?:\?.*)?")
RANGE = re.compile(r"bytes=(\d+)-(\d*)")
LATEST = 1e11
"""Seconds since 1970: no log of ours says more."""
CACHED = ("HIT", "REVALIDATED", "STALE", "UPDATING")
"""What nginx says of an answer whose bytes came from its cache. ngx_http_upstream_module, $upstream_cache_status."""
RUNTIMES = {
    "docker/": "docker",
    "containerd/": "containerd",
    "buildkit/": "buildkit",
    "cri-o/": "cri-o",
    "containers/": "podman",
    "skopeo/": "skopeo",
}
"""What the names of programs that pull begin with, as they name themselves."""


@dataclass(frozen=True)
class Request:
    """One answer of the proxy, or a further slice of a blob's.

    `ended`: seconds since 1970. `seconds`: how long it took. `endpoint`: name and port that were asked. `path`: without
    the query. `repository`, `kind`, `reference`: of the manifest or blob that it is about; empty where there is none.
    """

    ended: float
    seconds: float
    client: str
    user: str
    endpoint: Tuple[str, int]
    agent: str
    method: str
    path: str
    status: int
    sent: int
    complete: bool
    slice: bool
    cache: str
    fetched: int
    """Bytes that came from behind the proxy for it."""
    repository: str = ""
    kind: str = ""
    reference: str = ""

    @property
    def began(self) -> float:
        """When it began, seconds since 1970."""
        return self.ended - self.seconds

    @property
    def by_digest(self) -> bool:
        """Whether it names what it wants by its content."""
        return ":" in self.reference

    @property
    def runtime(self) -> str:
        """Which program asked."""
        return next((name for start, name in RUNTIMES.items() if self.agent.startswith(start)), "other")

    @property
    def looked_up(self) -> bool:
        """Whether the cache might have answered: a tag's answer is kept by a hosted endpoint, but for worse times."""
        return bool(self.cache) and (self.by_digest or self.cache != "BYPASS")

    @property
    def cached(self) -> bool:
        """Whether the answer came from the cache."""
        return self.cache in CACHED


def parsed(line: bytes) -> Optional[Request]:
    """None for what is no request of a client: a TLS handshake that came in clear, a line cut by a full disk.

    nginx escapes what JSON must have escaped, but lets bytes through that are no UTF-8.
    """
    try:
        fields = json.loads(line.decode(errors="replace"))
        if not isinstance(fields, dict) or not all(isinstance(each, str) for each in fields.values()):
            return None
        words = fields["request"].split(" ")
        if len(words) != 3:
            return None
        method, target, _ = words
        status, sent = int(fields["status"]), int(fields["bytes"])
        ended, seconds = float(fields["at"]), float(fields["seconds"])
        if not (0 <= ended <= LATEST and 0 <= seconds <= ended):
            return None
        found = OBJECT.fullmatch(target)
        return Request(
            ended=ended,
            seconds=seconds,
            client=fields["client"],
            user=fields["user"],
            endpoint=(fields["server"], int(fields["port"])),
            agent=fields["agent"],
            method=method,
            path=target.partition("?")[0],
            status=status,
            sent=sent,
            complete=method == "HEAD" or sent >= _expected(fields, status),
            slice=fields["request_bytes"] == "0",
            cache=fields["cache"].rpartition(" ")[2],
            # One number for each server that was asked.
            fetched=sum(int(each) for each in re.findall(r"\d+", fields["upstream_bytes"])),
            **(found.groupdict() if found else {}),
        )
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


def _expected(fields: Mapping[str, str], status: int) -> int:
    """How many bytes the whole answer has: nginx logs the whole blob's length also of a range that it cut in slices."""
    length = int(fields["length"] or 0)
    asked = RANGE.fullmatch(fields["range"])
    if status != 206 or not asked:
        return length
    first, last = int(asked[1]), int(asked[2] or length)
    return min(min(last, length - 1) - first + 1 if first < length else length, length)
