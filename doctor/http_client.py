"""HTTP as runtimes speak it: to one address, by the name of the endpoint, redirects followed without the login."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from contextlib import contextmanager
from email.message import Message
from typing import Dict, Iterator, Mapping, NamedTuple, Optional, Tuple, cast
from urllib.parse import urljoin, urlsplit

PATIENCE = 3.5
"""Seconds for a connection, and between two pieces of an answer. The kernel itself gives up after 3 s where nobody has
the address."""
AGENT = "http-registry-doctor"
MOST = 4 << 20
"""Bytes of a body that is kept: manifests are no larger (distribution's own limit)."""
REDIRECTS = 5


class Place(NamedTuple):
    """A server. `address`: where `host` is; `context`: how TLS is spoken, None for HTTP."""

    host: str
    port: int
    address: str
    context: Optional[ssl.SSLContext]

    @property
    def url(self) -> str:
        """For people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.context else 'http'}://{host}:{self.port}"


class Answer(NamedTuple):
    """What was said. `place`: by whom in the end, which a redirect makes another than who was asked."""

    status: int
    reason: str
    headers: Message
    body: bytes
    place: Place

    @property
    def line(self) -> str:
        """The status as HTTP has it."""
        return f"{self.status} {self.reason}".rstrip()


class Unanswered(Exception):
    """No answer came; `failure` says why, `place` from where."""

    def __init__(self, place: Place, failure: Exception) -> None:
        super().__init__(f"{place.url}: {failure}")
        self.place = place
        self.failure = failure


class Connection(http.client.HTTPConnection):
    """To an address, by the name that its clients use."""

    def __init__(self, place: Place) -> None:
        self.default_port = 443 if place.context else 80
        super().__init__(place.host, place.port, timeout=PATIENCE)
        self._place = place

    @property
    def secure(self) -> ssl.SSLSocket:
        """The socket of a connection over TLS."""
        return cast(ssl.SSLSocket, self.sock)

    def connect(self) -> None:
        """Raises OSError, which ssl.SSLError is."""
        self.sock = socket.create_connection((self._place.address, self._place.port), self.timeout)
        if self._place.context:
            self.sock = self._place.context.wrap_socket(self.sock, server_hostname=self._place.host)


def ask(place: Place, path: str, headers: Mapping[str, str], *, most: int = MOST, seconds: float = PATIENCE) -> Answer:
    """A GET. Raises Unanswered."""
    with streamed(place, path, headers) as (response, at):
        body, until = b"", time.monotonic() + seconds
        try:
            while len(body) < most and time.monotonic() < until and (piece := response.read1(1 << 16)):
                body += piece
        except (OSError, http.client.HTTPException) as failure:
            raise Unanswered(at, failure) from failure
        return Answer(response.status, response.reason, response.headers, body, at)


@contextmanager
def streamed(place: Place, path: str, headers: Mapping[str, str]) -> Iterator[Tuple[http.client.HTTPResponse, Place]]:
    """The answer to a GET whose body is still to be read, and who gives it. Raises Unanswered.

    A redirect is followed to wherever it leads, as runtimes do; to another server no login goes along.
    """
    url = f"{place.url}{path}"
    sent: Dict[str, str] = {"User-Agent": AGENT, **headers}
    for _ in range(REDIRECTS):
        try:
            connection = Connection(place)
        except http.client.InvalidURL as odd:
            raise Unanswered(place, odd) from odd
        try:
            try:
                connection.request("GET", path, headers=sent)
                response = connection.getresponse()
            except (OSError, http.client.HTTPException, ValueError) as failure:
                raise Unanswered(place, failure) from failure
            target = response.headers.get("Location", "")
            if response.status not in (301, 302, 303, 307, 308) or not target:
                yield response, place
                return
        finally:
            connection.close()
        try:
            url = urljoin(url, target)
            there, parts = reached_by(url, place), urlsplit(url)
        except ValueError as odd:
            raise Unanswered(place, http.client.HTTPException("redirects to what is no URL")) from odd
        if there[:2] != place[:2]:
            sent.pop("Authorization", None)
        place, path = there, f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    raise Unanswered(place, http.client.HTTPException(f"more than {REDIRECTS} redirects"))


def reached_by(url: str, known: Place) -> Place:
    """The server of a URL; of one that is known already its address, and trust as there. Raises ValueError for none."""
    from doctor.trust import context

    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    secure = None
    if parts.scheme == "https":
        secure = known.context or context((), system=True, verify=True)
    return Place(host, port, known.address if host == known.host else host, secure)
