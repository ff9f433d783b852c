"""A stand-in for a public registry: token auth, blobs at another server behind signed URLs, and faults on demand."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

POLL = 0.02
SIGNATURE = "signature=s3cr3t"


@dataclass
class Hub:
    """What it serves, and how. The registry, its token server and its store are three servers of one process."""

    blobs: dict[str, bytes]
    auth: str = "token"
    """`token`, `basic` or `none`."""
    login: str = ""
    """`user:password` that the token server, or Basic auth, wants; anonymous pulls where there is none."""
    redirect: str | None = "store"
    """Where blobs are: at the `store`, at the registry itself behind a `relative` redirect, or here (None)."""
    rate: float = 0.0
    """Bytes a second of one body, as fast as it goes for 0."""
    cut_after: int | None = None
    """A body breaks off behind so many bytes."""
    expires_in: int | None = 300
    slow_tokens: float = 0.0
    chunked: bool = False
    realm: str = ""
    forgets: str = ""
    """What becomes of a connection behind its first answer: it is closed `soon`, or at the `next` request."""
    store_status: list[int] = field(default_factory=list)
    """Statuses of the store's next answers."""
    certificate: tuple[str, str] | None = None
    """Files of certificate and key: then it speaks TLS."""
    counts: Counter[str] = field(default_factory=Counter)
    headers: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    token: str = "t0"

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self.registry = self._server(self._registry)
        self.tokens = self._server(self._tokens)
        self.store = self._server(self._store)

    def url(self, server: ThreadingHTTPServer, host: str = "127.0.0.1") -> str:
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{host}:{server.server_address[1]}"

    def close(self) -> None:
        for each in (self.registry, self.tokens, self.store):
            each.shutdown()
            each.server_close()

    def count(self, what: str, by: int = 1) -> None:
        with self._lock:
            self.counts[what] += by

    def _server(self, answer: Callable[[Any], None]) -> ThreadingHTTPServer:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def setup(self) -> None:
                super().setup()
                hub.count("connections")

            answered = False

            def do_GET(self) -> None:
                if hub.forgets == "next" and self.answered:
                    self.close_connection = True
                    return
                with hub._lock:
                    hub.headers.append((self.path, dict(self.headers)))
                answer(self)
                self.answered = True
                self.close_connection = self.close_connection or hub.forgets == "soon"

            do_HEAD = do_GET

        class Server(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass

        server = Server(("127.0.0.1", 0), Handler)
        if self.certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*self.certificate)
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(POLL,), daemon=True).start()
        return server

    def _registry(self, on: Any) -> None:
        self.count(f"registry {on.command}")
        said = on.headers["Authorization"]
        wanted = {"token": f"Bearer {self.token}", "basic": _basic(self.login), "none": None}[self.auth]
        repository, _, rest = urlsplit(on.path).path.removeprefix("/v2/").rpartition("/blobs/")
        if self.auth != "none" and said != wanted:
            self.count("401")
            realm = self.realm or f"{self.url(self.tokens)}/token?x=1"
            challenge = f'Bearer realm="{realm}",service="hub, \\"the\\"",scope="repository:{repository}:pull"'
            _send(on, 401, b"{}", {"WWW-Authenticate": challenge if self.auth == "token" else 'Basic realm="hub"'})
        elif "/tags/" in on.path or "/referrers/" in on.path:
            following = on.path.replace("last=a", "last=b")
            _send(on, 200, json.dumps({"asked": on.path}).encode(), {"Link": f'<{following}>; rel="next"'})
        elif on.path.endswith("/sha256:bad"):
            _send(on, 400, b"{}", {})
        elif "/manifests/" in on.path:
            head = {"Content-Type": "application/vnd.oci.image.manifest.v1+json", "ETag": '"m1"'}
            known = on.headers["If-None-Match"] == '"m1"'
            _send(on, 304 if known else 200, b"" if known else b'{"schemaVersion": 2}', head)
        elif rest not in self.blobs:
            _send(on, 404, b"{}", {})
        elif self.redirect == "store":
            _send(on, 307, b"moved", {"Location": f"{self.url(self.store, 'localhost')}/{rest}?{SIGNATURE}"})
        elif self.redirect == "relative" and "moved" not in on.path:
            _send(on, 302, b"", {"Location": f"{on.path}?moved=1"})
        elif self.redirect == "loop":
            _send(on, 302, b"", {"Location": "?again"})
        else:
            self._body(on, self.blobs[rest])

    def _tokens(self, on: Any) -> None:
        self.count("tokens")
        time.sleep(self.slow_tokens)
        query = parse_qs(urlsplit(on.path).query)
        assert query["service"] == ['hub, "the"'], query
        assert query["x"] == ["1"], query
        if self.login and on.headers["Authorization"] != _basic(self.login):
            _send(on, 401, b"{}", {})
            return
        life = {} if self.expires_in is None else {"expires_in": self.expires_in}
        _send(on, 200, json.dumps({"token": self.token, **life}).encode(), {})

    def _store(self, on: Any) -> None:
        self.count("store")
        with self._lock:
            status = self.store_status.pop(0) if self.store_status else 200
        if status != 200:
            _send(on, status, b"<Error/>", {})
        elif urlsplit(on.path).query != SIGNATURE or on.headers["Authorization"]:
            _send(on, 400, b"", {})
        else:
            self._body(on, self.blobs[urlsplit(on.path).path[1:]])

    def _body(self, on: Any, blob: bytes) -> None:
        said = on.headers["Range"]
        start, end = 0, len(blob)
        if said:
            first, _, last = said.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(blob)) + 1, len(blob))
        if start >= len(blob):
            _send(on, 416, b"", {"Content-Range": f"bytes */{len(blob)}"})
            return
        body = memoryview(blob)[start:end]
        head = {"ETag": '"of-the-store"', "Content-Type": "binary/octet-stream", "Accept-Ranges": "bytes"}
        if said:
            head["Content-Range"] = f"bytes {start}-{end - 1}/{len(blob)}"
        on.send_response(206 if said else 200)
        for name, value in {**head, **self._length(len(body))}.items():
            on.send_header(name, value)
        on.end_headers()
        if on.command == "GET":
            self._stream(on, body[: self.cut_after])
            if self.cut_after is not None and self.cut_after < len(body):
                on.close_connection = True
            elif self.chunked:
                on.wfile.write(b"0\r\n\r\n")

    def _length(self, size: int) -> dict[str, str]:
        return {"Transfer-Encoding": "chunked"} if self.chunked else {"Content-Length": str(size)}

    def _stream(self, on: Any, body: memoryview) -> None:
        step = 64 << 10 if self.rate else 1 << 20
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            if self.chunked:
                on.wfile.write(b"%x\r\n%b\r\n" % (len(piece), bytes(piece)))
            else:
                on.wfile.write(piece)
            self.count("bytes", len(piece))
            if self.rate:
                time.sleep(len(piece) / self.rate)


def _basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


def _send(on: Any, status: int, body: bytes, headers: dict[str, str]) -> None:
    on.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        on.send_header(name, value)
    on.end_headers()
    if on.command != "HEAD":
        on.wfile.write(body)
