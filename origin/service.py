"""The HTTP server that nginx asks: one thread a connection, a bounded number of them.

`GET /<registry>/v2/<repository>/blobs/<digest>`, or `/manifests/<reference>`, `/referrers/<digest>`, `/tags/list`; HEAD
as well. `GET /` says which registries there are, and the configuration's generation.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any, Mapping, Optional, Set

from origin.config import Config
from origin.connections import Answer
from origin.failures import BrokenOff, Failure
from origin.fetch import Fetcher, Wanted

MOST_CONNECTIONS = 256
PATIENCE = 120.0
"""Seconds that a client may take to read on, or to ask again: more than nginx keeps an idle connection (60)."""
BUFFER = 256 << 10
DIGEST = re.compile(r"[a-z0-9+._-]+:[0-9a-fA-F]{32,}")
PATH = re.compile(
    r"/(?P<registry>[a-z][a-z0-9-]*)/v2/(?P<repository>[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*)"
    r"/(?P<kind>blobs|manifests|referrers|tags(?=/list$))/(?P<reference>[A-Za-z0-9_][A-Za-z0-9_+.:-]*)"
)
QUERY = re.compile(r"\?[A-Za-z0-9_.~%&=+:/-]*")
SENT_ON = {"blobs": ("Accept", "Range"), "manifests": ("Accept", "Range", "If-None-Match", "If-Modified-Since")}
PASSED = (
    "Last-Modified",
    "Link",
    "Content-Type",
    "Content-Encoding",
    "Content-Range",
    "ETag",
    "Docker-Content-Digest",
    "Accept-Ranges",
)
CODES = {
    400: "DIGEST_INVALID",
    401: "UNAUTHORIZED",
    403: "DENIED",
    405: "UNSUPPORTED",
    416: "RANGE_INVALID",
    429: "TOOMANYREQUESTS",
}
UNKNOWN = {"blobs": "BLOB_UNKNOWN", "manifests": "MANIFEST_UNKNOWN"}
QUIET = (400, 404, 405, 416)
"""Statuses that are no fault of anybody's: they are not logged."""


class Service:
    """Serves connections of a listening socket until it is told to stop."""

    def __init__(self, config: Config) -> None:
        self.fetchers = {name: Fetcher(each) for name, each in config.registries.items()}
        self.generation = config.generation
        self.stopping = False
        self._connections: Set[socket.socket] = set()
        self._lock = threading.Lock()

    def serve(self, listener: socket.socket, stop: socket.socket) -> None:
        """Serve until `stop` can be read. The listener stays open: it is systemd's."""
        listener.setblocking(False)
        while True:
            full = len(self._connections) >= MOST_CONNECTIONS
            ready, _, _ = select.select([stop] if full else [stop, listener], [], [], 0.05 if full else None)
            if stop in ready:
                return
            if listener in ready:
                self._accept(listener)

    def finish(self, seconds: float) -> bool:
        """Let what runs end, `seconds` at most; whether all of it did. Connections that only wait are closed."""
        self.stopping = True
        with self._lock:
            for each in self._connections:
                _no_more_requests(each)
        deadline = time.monotonic() + seconds
        while self._connections and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self._connections

    @property
    def closes(self) -> bool:
        """Whether a connection ends with its answer: others wait for its place."""
        return self.stopping or len(self._connections) >= MOST_CONNECTIONS

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # the client has gone, or another process was faster
        connection.settimeout(PATIENCE)
        with self._lock:
            self._connections.add(connection)
        threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            Handler(connection, "", self)  # type: ignore[arg-type]  # it only keeps what is no server of its library
        except OSError:
            pass  # the client has gone
        except Exception as fault:
            log(f"a fault in the service: {type(fault).__name__} at {_place(fault)}")
        finally:
            connection.close()
            with self._lock:
                self._connections.discard(connection)


class Handler(BaseHTTPRequestHandler):
    """The requests of one connection."""

    protocol_version = "HTTP/1.1"
    server: Service  # type: ignore[assignment]
    _buffer: Optional[memoryview] = None

    def do_GET(self) -> None:
        """Fetch what the path names, or say what there is."""
        self.close_connection = self.close_connection or self.server.closes
        if self.headers.get("Transfer-Encoding") or self.headers.get("Content-Length", "0") != "0":
            self.close_connection = True  # its body would be taken for the next request
        path = self.path.partition("?")[0]
        if path == "/":
            says = {"registries": sorted(self.server.fetchers), "generation": self.server.generation}
            return self._say(200, says, {})
        found = PATH.fullmatch(path)
        try:
            if found is None or found["registry"] not in self.server.fetchers:
                raise Failure(404, "only what is pulled of the configured registries is served here")
            self._pass_on(self.server.fetchers[found["registry"]].fetch(self._wanted(found)), found)
        except Failure as failure:
            if failure.status not in QUIET:
                self._log_failure(path, f"{failure.status}: {failure.reason}")
            code = CODES.get(failure.status, "UNAVAILABLE")
            if failure.status == 404:
                code = UNKNOWN.get(found["kind"], "NAME_UNKNOWN") if found else "NAME_INVALID"
            errors = {"errors": [{"code": code, "message": failure.reason}]}
            self._say(failure.status, errors, failure.headers)

    do_HEAD = do_GET

    def _wanted(self, found: re.Match[str]) -> Wanted:
        sent_on = SENT_ON.get(found["kind"], ("Accept",))
        query = "".join(self.path.partition("?")[1:])
        return Wanted(
            self.command,
            found["repository"],
            found["kind"],
            found["reference"],
            {name: ", ".join(self.headers.get_all(name, [])) for name in sent_on if name in self.headers},
            self.headers.get("Authorization"),
            query if QUERY.fullmatch(query) and found["kind"] in ("referrers", "tags") else "",
        )

    def _pass_on(self, answer: Answer, found: re.Match[str]) -> None:
        try:
            length = answer.headers.get("Content-Length")
            head = {name: value for name in PASSED if (value := answer.headers.get(name))}
            if found["kind"] == "blobs" and DIGEST.fullmatch(found["reference"]):
                # A store behind the registry has another ETag, and all slices of a blob must have one.
                head.pop("Last-Modified", None)
                head.update({"ETag": f'"{found["reference"]}"', "Docker-Content-Digest": found["reference"]})
            chunked = answer.left is None
            if answer.status != 304:
                head.update({"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": length or "0"})
            self._head(answer.status, head)
            if self.command == "GET":
                self._pass_body(answer, chunked)
        except BrokenOff as broken:
            # Short of its length, or of its last chunk: nginx does not take it for the whole.
            self.close_connection = True
            self._log_failure(self.path.partition("?")[0], f"broke off: {broken}")
        finally:
            answer.end()

    def _pass_body(self, answer: Answer, chunked: bool) -> None:
        if self._buffer is None:
            self._buffer = memoryview(bytearray(BUFFER))
        for piece in answer.pieces(self._buffer):
            if chunked:
                self.connection.sendall(b"%x\r\n" % len(piece))
            self.connection.sendall(piece)
            if chunked:
                self.connection.sendall(b"\r\n")
        if chunked:
            self.connection.sendall(b"0\r\n\r\n")

    def _say(self, status: int, data: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        body = json.dumps(data).encode()
        self._head(status, {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.connection.sendall(body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, " ".join(value.split()))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def send_error(self, code: int, *_said: Any, **_more: Any) -> None:
        """What the library refuses: a request that it can't read, or a method that there is not."""
        self.close_connection = True
        self.command = getattr(self, "command", None) or "GET"
        status = 405 if code == 501 else code
        said = {"code": CODES.get(status, "UNSUPPORTED"), "message": "GET and HEAD of blobs and manifests only"}
        self._say(status, {"errors": [said]}, {})

    def log_message(self, format: str, *args: Any) -> None:
        """nginx logs the requests."""

    def _log_failure(self, path: str, reason: str) -> None:
        log(f"{self.command} {path}: {reason}")


def log(line: str) -> None:
    """One line for the journal."""
    print("".join(each if each.isprintable() else "?" for each in line), file=sys.stderr, flush=True)


def _no_more_requests(connection: socket.socket) -> None:
    with suppress(OSError):  # it may have ended already
        connection.shutdown(socket.SHUT_RD)


def _place(fault: BaseException) -> str:
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "unknown" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
