"""A real nginx with an endpoint's TLS as rendered, before a body of a few bytes; and clients that look closely."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from documents import nginx_tls
from documents.nginx_text import Directive, block, directive, text
from hostctl.nginx_conf import TLS
from settings.tls import Tls
from tests.certificates import DAY, NOW, Signed
from tests.free_port import free_port
from tests.programs.nginx import running
from tests.programs.served_site import POLL

NAME = "registry.test"
KEY = "web"


@dataclass
class Server:
    """nginx on `port` of 127.0.0.1; its files are in `folder`."""

    folder: Path
    port: int
    ca: str
    http: int = 0

    def context(self, **limits: Any) -> ssl.SSLContext:
        """A client's, that trusts `ca` only; `limits`: attributes of it, and `ciphers`."""
        context = ssl.create_default_context(cadata=self.ca)
        if ciphers := limits.pop("ciphers", None):
            context.set_ciphers(ciphers)
        for each, value in limits.items():
            setattr(context, each, value)
        return context

    def handshake(self, name: str = NAME, **limits: Any) -> tuple[str | None, str, bytes]:
        """Protocol, cipher and the certificate shown. Raises OSError where there is none."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain,
            self.context(**limits).wrap_socket(plain, server_hostname=name) as wrapped,
        ):
            cipher = wrapped.cipher()
            assert cipher is not None
            return wrapped.version(), cipher[0], wrapped.getpeercert(binary_form=True) or b""

    def get(self, path: str = "/", context: ssl.SSLContext | None = None) -> tuple[int, Message, bytes]:
        """Status, headers and body."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain,
            (context or self.context()).wrap_socket(plain, server_hostname=NAME) as wrapped,
        ):
            return ask(wrapped, path)

    def install(self, certificate: str, secret: str, tls: Tls) -> None:
        """Put the certificate and the secret where the rendered text names them."""
        for each in (nginx_tls.certificate(KEY, certificate), nginx_tls.secret(tls, KEY, secret)):
            path = Path(self.moved(each.path))
            path.parent.mkdir(exist_ok=True)
            path.write_text(each.text)
            path.chmod(each.mode)

    def moved(self, rendered: str) -> str:
        """A rendered text with this folder in place of the host's."""
        return rendered.replace(TLS, str(self.folder / "tls"))

    def reload(self) -> None:
        """What `nginx -s reload` does."""
        os.kill(int((self.folder / "pid").read_text()), signal.SIGHUP)

    def workers(self) -> set[str]:
        """The process ids of its workers."""
        main = (self.folder / "pid").read_text().strip()
        return set(Path(f"/proc/{main}/task/{main}/children").read_text().split())

    def log(self) -> str:
        """What nginx has complained of."""
        return (self.folder / "error.log").read_text()


@contextmanager
def serving(
    folder: Path,
    tls: Tls,
    certificate: str,
    secret: str,
    ca: str,
    *,
    staples: bool = False,
    more: Iterable[Directive] = (),
    body: Iterable[Directive] = (),
    user: str = "root",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """nginx with the rendered `tls`. `more`: further blocks of http. `body`: more of the server block."""
    live = Server(folder, free_port(), ca)
    live.install(certificate, secret, tls)
    server = block(
        "server",
        body=[
            directive("listen", f"127.0.0.1:{live.port}", "ssl"),
            directive("server_name", NAME),
            *nginx_tls.server(tls, KEY, staples),
            directive("root", str(folder / "www")),
            *body,
        ],
    )
    scratch = [
        directive(f"{each}_temp_path", str(folder / each))
        for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    ]
    main = [
        *([directive("user", *user.split())] if os.geteuid() == 0 else []),
        directive("daemon", "off"),
        directive("worker_processes", 2),
        directive("pid", str(folder / "pid")),
        directive("error_log", str(folder / "error.log"), "info"),
        block("events", body=[]),
        block("http", body=[directive("access_log", "off"), *scratch, *more, server]),
    ]
    (folder / "www").mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(live.moved(text(main)))
    with running(
        folder / "nginx.conf", lambda: socket.create_connection(("127.0.0.1", live.port)).close(), environment
    ):
        yield live


def ask(connection: socket.socket, path: str) -> tuple[int, Message, bytes]:
    """A GET on an open connection."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
    response = HTTPResponse(connection)
    response.begin()
    return response.status, response.headers, response.read()


def stapled(live: Server, ca: Path) -> str:
    """What `openssl s_client` says of a handshake that asks for the certificate's status."""
    done = subprocess.run(
        f"openssl s_client -connect 127.0.0.1:{live.port} -servername {NAME} -status -CAfile {ca}".split(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stdout


@dataclass
class Responder:
    """Says of a certificate that it is good, in the name of its issuer (OCSP, RFC 6960)."""

    by: Signed | None = None
    """Who signs in the issuer's place, with a certificate for that; the issuer itself if absent."""
    asked: int = 0
    answer: bytes = b""
    server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, args=(POLL,), daemon=True).start()

    @property
    def url(self) -> str:
        """What certificates name."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def knows(self, certificate: Signed, issuer: Signed) -> None:
        """Whose status it tells from now on."""
        signer = self.by or issuer
        builder = ocsp.OCSPResponseBuilder().add_response(
            certificate.certificate,
            issuer.certificate,
            SHA1(),
            ocsp.OCSPCertStatus.GOOD,
            NOW - DAY,
            NOW + DAY,
            None,
            None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        if self.by:
            builder = builder.certificates([self.by.certificate])
        self.answer = builder.sign(signer.key, SHA256()).public_bytes(Encoding.DER)

    def end(self) -> None:
        """No answers any more."""
        self.server.shutdown()
        self.server.server_close()

    def _handler(responder) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                self.do_GET()

            def do_GET(self) -> None:
                responder.asked += 1
                self.send_response(200)
                self.send_header("Content-Type", "application/ocsp-response")
                self.send_header("Content-Length", str(len(responder.answer)))
                self.end_headers()
                self.wfile.write(responder.answer)

        return Handler
