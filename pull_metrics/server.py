"""What the service answers over HTTP: its own metrics, and on other paths those of programs of this machine.

They listen on 127.0.0.1 and ask nobody who he is, so one port is opened to Prometheus in place of theirs.
"""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable, Mapping

FORMAT = "text/plain; version=0.0.4; charset=utf-8"
PATIENCE = 8.0
MOST = 16 << 20


def server(
    address: str, port: int, generation: str, metrics: Callable[[], str], relayed: Mapping[str, str]
) -> ThreadingHTTPServer:
    """One that listens; `serve_forever` is the caller's. `metrics`: the text for `/metrics`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60
        server_version = "http-registry-pulls"
        sys_version = ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._say(200, metrics().encode())
            elif path == "/generation":
                self._say(200, generation.encode())
            elif path in relayed:
                self._relay(relayed[path])
            else:
                self._say(404, b"there is /metrics, " + ", ".join(sorted(relayed)).encode() + b"\n")

        def _relay(self, url: str) -> None:
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                with direct.open(url, timeout=PATIENCE) as answer:
                    self._say(200, answer.read(MOST), answer.headers.get("Content-Type") or FORMAT)
            except (OSError, urllib.error.HTTPError) as wrong:
                self._say(502, f"{url}: {wrong}\n".encode())

        def _say(self, status: int, body: bytes, kind: str = FORMAT) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads these."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def server_bind(self) -> None:
            if self.address_family == socket.AF_INET6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            super().server_bind()

    return Server((address, port), Handler)
