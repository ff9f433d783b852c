"""Raw answers of servers that mean us no good, and raw requests of such clients, through our own HTTP."""

from __future__ import annotations

import io
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any
from unittest.mock import patch

from doctor import login as doctor_login
from doctor.http_client import Place, Unanswered, ask
from doctor.pull import Endpoint, Image, Pull, Wanted
from doctor.server import http_asking, upstreams
from doctor.steps import content
from doctor.steps import host as host_step
from doctor.walk import Walk
from fuzz.target import Target, promised, texts
from fuzz.targets import registries
from hostctl.docker_api import Answer as DockerAnswer
from hostctl.host import Host
from offline_sync.failure import Failure
from offline_sync.registry import Registry as OfflineRegistry
from origin import service
from origin.config import Config, Registry
from origin.failures import BrokenOff
from origin.failures import Failure as OriginFailure
from origin.fetch import Fetcher
from origin.fetch import Wanted as Fetched
from origin.urls import Server

BASE = Server("http", "registry.example", 80)
MOST = 64 << 10
"""Bytes that a pair of sockets takes without a reader."""


class _End(socket.socket):
    """One end of a pair, which has no options of TCP."""

    def setsockopt(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def answered(data: bytes) -> Iterator[None]:
    """Every connection that is opened says just this, and ends."""

    def connect(*_: Any, **__: Any) -> socket.socket:
        theirs, ours = socket.socketpair()
        theirs.sendall(data[:MOST])
        theirs.shutdown(socket.SHUT_WR)
        kept.append(theirs)
        end = _End(fileno=ours.detach())
        end.settimeout(5)
        kept.append(end)
        return end

    kept: list[socket.socket] = []
    before = socket.create_connection
    socket.create_connection = connect
    try:
        yield
    finally:
        socket.create_connection = before
        for each in kept:
            each.close()


def run_doctor(data: bytes) -> None:
    """doctor's clients: an answer or Unanswered; a token or NoToken; OSError."""
    place = Place("registry.example", 80, "192.0.2.1", None)
    with answered(data):
        with promised(Unanswered):
            answer = ask(place, "/v2/", {})
            for each in doctor_login.challenges(answer):
                with promised(doctor_login.NoToken):
                    doctor_login.token(each, ("u", "p"), "", place)
        with promised(OSError):
            answered_first = http_asking.ask("http://registry.example/v2/")
            upstreams._with_login("http://registry.example/v2/", answered_first, {"user": "u", "password": "p"})


def run_image(data: bytes) -> None:
    """A registry that gives this for a manifest, and for each of its blobs."""
    pull = Pull("docker", Image("registry.example", "a/b", "1"), Wanted(("http://registry.example",)))
    for kind in (b"application/vnd.oci.image.index.v1+json", b"text/html"):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(data))
        walk = Walk(Host(), pull, Endpoint("http://registry.example", "x"), 0.0, 0.0, ["192.0.2.1"])
        with answered(head + data):
            content.look(walk)
            host_step._size(walk)


OFFLINE = OfflineRegistry("http://registry.example", login="dTpw")


def _sleep(seconds: float) -> None:
    """Nobody waits here; what time.sleep refuses is refused."""
    if not 0 <= seconds <= 30:
        raise AssertionError(f"would sleep {seconds} s")


def run_offline(data: bytes) -> None:
    """What asks registries for bundles: an answer, or Failure."""
    with answered(data), patch("offline_sync.registry.time.sleep", _sleep):
        questions: tuple[Callable[[OfflineRegistry], object], ...] = (
            lambda each: each.greet(),
            lambda each: each.tags("a"),
            lambda each: each.head("a", "1"),
            lambda each: each.referrers("a", "sha256:" + "a" * 64),
        )
        for question in questions:
            with promised(Failure):
                OFFLINE._known.clear()
                OFFLINE._no_referrers = False
                question(OFFLINE)


POOL_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def run_origin(data: bytes) -> None:
    """The origin service's fetch: an answer whose body ends, BrokenOff, or Failure."""
    for kind, reference in (("manifests", "1"), ("blobs", "sha256:" + "a" * 64)):
        with patch("origin.connections._tls", lambda _: POOL_TLS):  # reading all authorities takes longer than the rest
            fetcher = Fetcher(Registry("hub", (BASE,), "u", "p"))
        with answered(data), promised(OriginFailure):
            answer = fetcher.fetch(Fetched("GET", "a/b", kind, reference, {"Accept": "*/*"}))
            try:
                with promised(BrokenOff):
                    answer.body(1 << 20)
            finally:
                answer.end()


class _Nobody:
    def fetch(self, wanted: Fetched) -> Any:
        assert "\n" not in wanted.target and wanted.target.isascii(), wanted.target
        raise OriginFailure(404, "not here")


def run_request(data: bytes) -> None:
    """A client of the origin service: each request has an answer, and nothing of one gets into another's."""
    served = service.Service(Config({}, "g"))
    served.fetchers["hub"] = _Nobody()  # type: ignore[assignment]
    theirs, ours = socket.socketpair()
    theirs.sendall(data[:MOST])
    theirs.shutdown(socket.SHUT_WR)
    with theirs, ours, redirect_stderr(io.StringIO()) as said, promised(OSError):
        service.Handler(ours, "", served)  # type: ignore[arg-type]
        assert "\x1b" not in said.getvalue()


def run_docker(data: bytes) -> None:
    """A failing answer of the Docker Engine."""
    assert isinstance(DockerAnswer(500, data).message, str)


OK = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDocker-Content-Digest: sha256:" + "a" * 64
HEADS = texts(
    f'{OK}\r\nContent-Length: 15\r\nLink: </v2/a/tags/list?n=1&last=b>; rel="next"\r\n\r\n{{"tags": ["a"]}}',
    f"{OK}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="http://auth.example/t"\r\nContent-Length: 0\r\n\r\n',
    "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://cdn.example/x\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 52\r\n\r\n" + '{"errors":[{"code":"NAME_UNKNOWN","message":"no"}]}x',
    "HTTP/1.1 429 Too Many\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n",
    'HTTP/1.1 200 OK\r\nContent-Length: 29\r\n\r\n{"token":"x","expires_in":60}',
    "HTTP/1.0 200 OK\r\n\r\nno length",
)
HEADERS = (
    "HTTP/1.1 ",
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "Location: ",
    "Link: <",
    "WWW-Authenticate: Bearer realm=",
    "Retry-After: ",
    "\r\n\r\n",
    "http://[",
    "http://a:99999/",
    "file:///etc/passwd",
    "Content-Range: bytes 0-1/2",
    "nan",
    "-1",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "Connection: close",
    "Content-Encoding: gzip",
)
REQUESTS = texts(
    "GET /hub/v2/a/b/blobs/sha256:" + "a" * 64 + " HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n",
    "HEAD /hub/v2/a/manifests/1 HTTP/1.1\r\nAuthorization: Basic x\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "GET /hub/v2/a/tags/list?n=1&last=x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
)
TARGETS = (
    Target("answer-to-doctor", run_doctor, HEADS, HEADERS),
    Target(
        "image-to-doctor",
        run_image,
        tuple(json.dumps(each).encode() for each in (registries.INDEX, registries.MANIFEST)),
        registries.JSON,
    ),
    Target("answer-to-offline-sync", run_offline, HEADS, HEADERS),
    Target("answer-to-origin", run_origin, HEADS, HEADERS),
    Target(
        "request-to-origin",
        run_request,
        REQUESTS,
        ("GET ", "/hub/v2/", "blobs/", "tags/list", "HTTP/1.1\r\n", "\x1b[", "?n=", "%0a", "Range: "),
    ),
    Target(
        "docker-engine-error",
        run_docker,
        texts('{"message": "no http://u:p@h"}', "x", "[]"),
        ('"message"', "{", "}", "://u:p@"),
    ),
)
