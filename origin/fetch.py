"""From a request to an answer whose body can be passed on: bases, authorization, redirects."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Tuple

from origin.authorization import Authorizations
from origin.config import Registry
from origin.connections import Answer, Pool
from origin.failures import Failure, NoAnswer
from origin.urls import Server, redirected

REDIRECTS = (301, 302, 307, 308)
MOST_REDIRECTS = 5
SAID = (200, 206, 304)
GOOD = (*SAID, 416)
"""An answer of the place itself; any other may be gone when the registry is asked anew."""
REMEMBERED_SECONDS = 30.0
MOST_REMEMBERED = 4096
AVOIDED_SECONDS = 10.0
"""A base that could not be reached is tried last for so long."""


@dataclass(frozen=True)
class Wanted:
    """What a client wants. `headers` and `authorization`: as it has sent them. `query`: of a list, with its `?`."""

    method: str
    repository: str
    kind: str
    reference: str
    headers: Mapping[str, str]
    authorization: Optional[str] = None
    query: str = ""

    @property
    def target(self) -> str:
        """Path and query at the registry."""
        return f"/v2/{self.repository}/{self.kind}/{self.reference}{self.query}"


Key = Tuple[str, str, Optional[str]]
Place = Tuple[Server, str]


class Fetcher:
    """Fetches from one registry, for any number of threads."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._pool = Pool(registry)
        self._authorizations = Authorizations(registry, self._pool)
        self._places: Dict[Key, Tuple[float, Server, Place]] = {}
        self._unreachable: Dict[Server, float] = {}
        self._lock = threading.Lock()

    def fetch(self, wanted: Wanted) -> Answer:
        """An answer of a status in `SAID`, whose end can be told. Raises Failure for all else."""
        # Another method, path or login may be sent to another place, or to none.
        key = (wanted.method, wanted.target, wanted.authorization)
        answer = self._from_remembered(key, wanted)
        if answer is None:
            base, answer = self._from_base(wanted)
            if answer.status == 400:
                answer.end()
                raise Failure(400, f"the registry {self._registry.name} knows no such form of name or digest")
            answer = self._follow(key, wanted, base, answer)
        if answer.status not in SAID:
            answer.end()
            raise self._failure(answer)
        if answer.left is None and not answer.chunked:
            answer.end()
            raise Failure(502, f"the registry {self._registry.name} does not say how long its answer is")
        return answer

    def _failure(self, answer: Answer) -> Failure:
        name, status = f"the registry {self._registry.name}", answer.status
        if status == 404:
            return Failure(404, f"{name} does not have it")
        if status == 416:
            return Failure(416, f"{name} has fewer bytes", _some(answer, "Content-Range"))
        if status == 429:
            return Failure(429, f"{name} has had too many requests", _some(answer, "Retry-After"))
        if status == 401 and self._registry.forward_authorization:
            return Failure(401, f"log in at {name}", _some(answer, "WWW-Authenticate"))
        if status in (401, 403):
            return Failure(403, f"{name} refuses this (status {status})")
        return Failure(502, f"{name} answers with status {status}")

    def _from_remembered(self, key: Key, wanted: Wanted) -> Optional[Answer]:
        with self._lock:
            until, base, place = self._places.get(key, (0.0, None, None))
        if base is None or place is None or time.monotonic() >= until:
            return None
        try:
            answer = self._ask(place, wanted, self._authorization(place[0], base, wanted))
            if answer.status in GOOD:
                return answer
            answer.end()
        except NoAnswer as silent:
            if silent.reached:
                raise
        with self._lock:
            self._places.pop(key, None)
        return None

    def _from_base(self, wanted: Wanted) -> Tuple[Server, Answer]:
        """The first answer, with our authorization where it is asked for."""
        failure: Optional[NoAnswer] = None
        for base in self._bases():
            authorization = self._authorization(base, base, wanted)
            try:
                answer = self._ask((base, wanted.target), wanted, authorization)
            except NoAnswer as silent:
                if silent.reached:
                    raise
                self._unreachable[base] = time.monotonic() + AVOIDED_SECONDS
                failure = silent
                continue
            if answer.status == 401 and not self._registry.forward_authorization:
                answer.end()
                said = answer.headers.get_all("WWW-Authenticate") or []
                renewed = self._authorizations.after(wanted.repository, base, said, authorization)
                if renewed is not None:
                    answer = self._ask((base, wanted.target), wanted, renewed)
            return base, answer
        assert failure is not None
        raise failure

    def _bases(self) -> List[Server]:
        now = time.monotonic()
        return sorted(self._registry.bases, key=lambda base: self._unreachable.get(base, 0.0) > now)

    def _follow(self, key: Key, wanted: Wanted, base: Server, answer: Answer) -> Answer:
        place = (base, wanted.target)
        for _ in range(MOST_REDIRECTS):
            location = answer.headers.get("Location")
            if answer.status not in REDIRECTS or not location:
                break
            answer.end()
            try:
                place = redirected(*place, location, self._registry.in_clear)
            except ValueError as wrong:
                raise Failure(502, f"{place[0]} redirects to what is not followed ({wrong})") from None
            answer = self._ask(place, wanted, self._authorization(place[0], base, wanted))
        if answer.status in REDIRECTS:
            answer.end()
            raise Failure(502, f"the registry {self._registry.name} redirects more than {MOST_REDIRECTS} times")
        if place != (base, wanted.target) and wanted.kind == "blobs" and answer.status in GOOD:
            self._remember(key, base, place)
        return answer

    def _remember(self, key: Key, base: Server, place: Place) -> None:
        now = time.monotonic()
        with self._lock:
            if len(self._places) >= MOST_REMEMBERED:
                self._places = {each: value for each, value in self._places.items() if value[0] > now}
            if len(self._places) < MOST_REMEMBERED:
                self._places[key] = (now + REMEMBERED_SECONDS, base, place)

    def _authorization(self, server: Server, base: Server, wanted: Wanted) -> Optional[str]:
        """Only the registry itself is told any."""
        if server != base:
            return None
        if self._registry.forward_authorization:
            return wanted.authorization
        return self._authorizations.known(wanted.repository, base)

    def _ask(self, place: Place, wanted: Wanted, authorization: Optional[str]) -> Answer:
        headers = {"User-Agent": "http-registry-origin", **wanted.headers}
        if authorization is not None:
            headers["Authorization"] = authorization
        return self._pool.ask(place[0], wanted.method, place[1], headers)


def _some(answer: Answer, header: str) -> Dict[str, str]:
    value = answer.headers.get(header)
    return {header: value} if value else {}
