"""A real nginx on loopback ports that serves the rendered site before registries of a few lines."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from documents import nginx_site
from documents.canary import canaries
from documents.nginx_site import CACHES
from documents.nginx_status import FINDINGS_FOLDER
from hostctl import bcrypt_hash
from hostctl.nginx_conf import MARKER, OURS, RUN
from hostctl.nginx_probe import has_ipv6
from hostctl.units.origin import SOCKET as ORIGIN_SOCKET
from hostctl.units.pull_metrics import PAGE
from settings import parse
from tests.free_port import free_port
from tests.programs.nginx import running

BLOB = os.urandom(20_000_000)
"""Three slices of it."""
DIGEST = "sha256:" + "ab" * 32
API_VERSION = "Docker-Distribution-Api-Version"
HERE, SECOND, FOREIGN = "127.0.0.1", "127.0.0.8", "127.0.0.6"
"""Addresses of the host itself: two where the site listens, and one that another site has taken."""
NEIGHBOUR, STRANGER = "127.0.0.7", "127.0.0.9"
POLL = 0.02
"""Seconds until a server of these tests heeds that it shall end; its own default is half a second."""
PUSHER, PULLER = ("pusher", "secret-1"), ("puller", "secret-2")
CHALLENGE = 'Bearer realm="http://token.test/token",service="hosted.test"'
OCI = "application/vnd.oci.image.manifest.v1+json"
ACCEPT, ACCEPT_NOT = {"Accept": OCI}, {"Accept": "text/plain"}


TOKEN = {"realm": "http://token.test/token", "service": "hosted.test", "issuer": "test", "jwks": "keys.json"}


class UnixServer(ThreadingHTTPServer):
    """On a socket in the file system."""

    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "unix", 0

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, _ = super().get_request()
        return connection, ("unix", 0)


class Backend:
    """A registry that counts what it is asked; on a socket, the origin service before one.

    `asked` by method and path; `sent` counts the bytes of bodies.
    """

    def __init__(self, place: Path | None = None) -> None:
        self.asked: Counter[tuple[str, str]] = Counter()
        self.headers: list[dict[str, str]] = []
        self.uploaded: list[int] = []
        self.tag = b"first"
        self.broken = False
        self.dead = False
        self.missing: set[str] = set()
        self.rights: dict[str, set[str]] | None = None
        """With token auth: the repositories by the Authorization that opens them."""
        self.sent = 0
        self.server = (
            ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
            if place is None
            else UnixServer(str(place), self._handler())  # type: ignore[arg-type]
        )
        threading.Thread(target=self.server.serve_forever, args=(POLL,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def die(self) -> None:
        """No answer on old connections, no new ones."""
        self.dead = True
        self.server.shutdown()
        self.server.server_close()

    def _handler(backend) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                path = self.path.removeprefix("/hub").split("?")[0]
                backend.asked[self.command, path] += 1
                backend.headers.append(dict(self.headers))
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                if backend.dead:
                    self.close_connection = True
                elif backend.broken:
                    self.answer(503, b"broken")
                elif not self.may(path):
                    self.answer(401, b'{"errors":[{"code":"NO_TOKEN"}]}')
                elif self.headers["If-None-Match"] and DIGEST in path:
                    self.answer(304, b"")  # distribution says so of a manifest that it does not have, too
                elif path in backend.missing:
                    self.answer(404, b'{"errors":[{"code":"GONE"}]}')
                elif "/manifests/sha256:" in path and OCI not in str(self.headers.get_all("Accept")):
                    self.answer(404, b'{"errors":[{"code":"NOT_ACCEPTED"}]}')
                elif "/blobs/" in path and path.endswith("ab"):
                    self.answer(200, BLOB, slow=True)
                elif "/manifests/" in path and "missing" not in path:
                    self.answer(200, backend.tag)
                elif path in ("/v2/", "/v2/app/tags/list"):
                    self.answer(200, b"{}")
                else:
                    self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')

            def may(self, path: str) -> bool:
                if backend.rights is None:
                    return True
                mine = backend.rights.get(self.headers["Authorization"] or "", set())
                return any(path.startswith(f"/v2/{each}/") for each in mine)

            do_HEAD = do_GET
            do_DELETE = do_GET
            do_PUT = do_GET

            def do_PATCH(self) -> None:
                backend.asked[self.command, self.path] += 1
                size = 0
                while line := int(self.rfile.readline(), 16):
                    size += len(self.rfile.read(line))
                    self.rfile.readline()
                    backend.uploaded.append(size)
                self.rfile.readline()
                self.answer(202, b"")

            def answer(self, status: int, body: bytes, slow: bool = False) -> None:
                wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
                whole = len(body)
                if wanted and status == 200 and self.command == "GET":
                    start, end = int(wanted[1]), min(int(wanted[2] or whole), whole - 1)
                    body, status = (body[start : end + 1], 206) if start < whole else (b"", 416)
                self.send_response(status)
                if status in (206, 416):
                    self.send_header("Content-Range", f"bytes {start}-{end}/{whole}" if body else f"bytes */{whole}")
                self.send_header(API_VERSION, "registry/2.0")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Set-Cookie", "a=b")
                self.send_header("Cache-Control", "private")
                self.send_header("ETag", f'"{DIGEST}"')
                if status == 401:
                    self.send_header("WWW-Authenticate", CHALLENGE)
                self.end_headers()
                if self.command == "HEAD":
                    return
                for start in range(0, len(body), 1_000_000):
                    self.wfile.write(body[start : start + 1_000_000])
                    backend.sent += len(body[start : start + 1_000_000])
                    time.sleep(0.03 if slow else 0)

        return Handler


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, list[str]] = field(default_factory=dict)

    def code(self) -> str:
        return str(json.loads(self.body)["errors"][0]["code"])


@dataclass
class Site:
    """Both endpoints on `port`, told apart by their names."""

    port: int
    generation: str
    canary: str
    hosted: Backend
    cache: Backend
    log: Path
    folder: Path

    def change_password(self, user: str, password: str) -> None:
        """As hostctl does: the line, the digest of the file, a reload."""
        file = self.folder / "etc" / "pull.htpasswd"
        lines = [each for each in file.read_text().splitlines() if not each.startswith(f"{user}:")]
        file.write_text("\n".join([*lines, f"{user}:{bcrypt_hash.make(password, 4)}"]) + "\n")
        (self.folder / "etc" / "passwords.conf").write_text("map $host $http_registry_passwords { default 2; }\n")
        os.kill(int((self.folder / "pid").read_text()), signal.SIGHUP)

    def ask(
        self,
        method: str,
        path: str,
        *,
        host: str = "mirror.test",
        user: tuple[str, str] | None = None,
        source: str = HERE,
        at: str = HERE,
        body: Any = None,
        token: str = "",
        **headers: str,
    ) -> Answer:
        connection = http.client.HTTPConnection(at, self.port, timeout=20, source_address=(source, 0))
        sent = {"Host": host, **headers}
        if user:
            sent["Authorization"] = "Basic " + base64.b64encode(":".join(user).encode()).decode()
        if token:
            sent["Authorization"] = token
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        seen: dict[str, list[str]] = {}
        for name, value in response.getheaders():
            seen.setdefault(name, []).append(value)
        answer = Answer(response.status, response.read(), seen)
        connection.close()
        return answer


@contextmanager
def serving(
    tmp_path: Path,
    *,
    login: bool = False,
    token: bool = False,
    proxy: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
    edited: Callable[[str], str] = lambda text: text,
    **hosted_too: Any,
) -> Iterator[Site]:
    """An nginx that serves the rendered site until the end.

    `login`: whether the mirror asks for one. `token`: whether the hosted registry has token auth. `proxy`: settings of
    the proxy besides. `metrics`: the tier's. `edited`: what becomes of the site's text. `hosted_too`: settings of the
    hosted endpoint.
    """
    hosted, cache = Backend(), Backend(tmp_path / "origin.sock")
    port = free_port()
    tier = parse(
        {
            "hosts": [{"name": "h", "address": "192.0.2.1"}],
            "image": {"reference": "registry:3.1.2"},
            "registries": [
                {
                    "kind": "hosted",
                    "name": "hosted",
                    "host": "h",
                    "port": hosted.port,
                    **({"token": TOKEN} if token else {}),
                },
                {
                    "kind": "cache",
                    "name": "hub",
                    "host": "h",
                    "serves": "docker.io",
                    "upstream": "https://registry-1.docker.io",
                },
            ],
            "proxy": {
                "host": "h",
                "endpoints": [
                    {"registry": "hosted", "port": port, "server_name": "hosted.test", **hosted_too},
                    {"registry": "hub", "port": port, "server_name": "mirror.test", "login": login},
                ],
                "users": [{"name": "pusher", "role": "push"}, {"name": "puller", "role": "pull"}],
                "cache": {"tag_lifetime": "1s"},
                **(proxy or {}),
            },
            "firewall": {"allow": ["192.0.2.0/24"]},
            **({"metrics": metrics} if metrics else {}),
        }
    )
    rendered = nginx_site.render(tier)
    places = {
        CACHES: str(tmp_path / "cache"),
        OURS: str(tmp_path / "etc"),
        RUN: str(tmp_path / "run"),
        ORIGIN_SOCKET: str(tmp_path / "origin.sock"),
        str(Path(PAGE).parent): str(tmp_path),
        FINDINGS_FOLDER: str(tmp_path),
        "/var/log/nginx": str(tmp_path),
        f"listen {port};": f"listen {HERE}:{port}; listen {SECOND}:{port};",
        f"listen [::]:{port};": f"listen [::1]:{port};",
        "127.0.0.0/8": f"{NEIGHBOUR}/32",
    }

    def moved(text: str) -> str:
        for old, new in places.items():
            text = text.replace(old, new)
        return text

    (tmp_path / "cache").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwords.conf").write_text("map $host $http_registry_passwords { default 1; }\n")
    lines = {user: f"{user[0]}:{bcrypt_hash.make(user[1], 4)}\n" for user in (PUSHER, PULLER)}
    (tmp_path / "etc" / "pull.htpasswd").write_text("# ours\n" + "".join(lines.values()))
    (tmp_path / "etc" / "push.htpasswd").write_text("# ours\n" + lines[PUSHER])
    for name in ("pull-before", "push-before"):
        (tmp_path / "etc" / f"{name}.htpasswd").write_text("# ours\n")
    (tmp_path / "site.conf").write_text(edited(moved(rendered.site.text)))
    for document, needs in rendered.optional:
        path = Path(moved(document.path))
        path.parent.mkdir(exist_ok=True)
        if needs != "ipv6" or has_ipv6():
            path.write_text(moved(document.text))
    for document in rendered.more:
        path = Path(moved(document.path))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document.text)
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"{'user root;' if os.geteuid() == 0 else ''} daemon off; worker_processes 2; pid {tmp_path}/pid;\n"
        f"error_log {tmp_path}/error.log; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;\n"
        f"fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n"
        f"include {tmp_path}/site.conf;\n"
        f"server {{ listen {FOREIGN}:{port}; server_name hosted.test mirror.test; return 200 foreign; }} }}\n"
    )
    live = Site(
        port,
        rendered.generation,
        canaries(tier)["docker.io"].digest,
        hosted,
        cache,
        tmp_path / "http-registry.access.log",
        tmp_path,
    )
    try:
        with running(main, lambda: live.ask("GET", MARKER)):
            yield live
    finally:
        for backend in (hosted, cache):
            backend.die()


def blob_of(repository: str = "app") -> str:
    """The path of the one blob."""
    return f"/v2/{repository}/blobs/{DIGEST}"


def wait_until(true: Callable[[], bool]) -> None:
    """Until it is true; fails after 5 s."""
    for _ in range(250):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("did not come true in 5 s")
