"""Decides what clients of the rendered site see: a real nginx on loopback ports before a registry of a few lines.

Real registries and runtimes behind it are decided in tests/lab.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from documents import nginx_site
from documents.nginx_site import CACHES
from hostctl import bcrypt_hash
from hostctl.nginx_conf import MARKER, OURS
from hostctl.nginx_probe import Probe, complaint, has_ipv6, still_there
from settings import parse
from tests.programs.nginx import nginx

BLOB = os.urandom(3_000_000)
DIGEST = "sha256:" + "ab" * 32
API_VERSION = "Docker-Distribution-Api-Version"
ALLOWED, STRANGER = "127.0.0.1", "127.0.0.9"
PUSHER, PULLER = ("pusher", "secret-1"), ("puller", "secret-2")


class Backend:
    """A registry that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: Counter[tuple[str, str]] = Counter()
        self.headers: list[dict[str, str]] = []
        self.uploaded: list[int] = []
        self.tag = b"first"
        self.broken = False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def _handler(backend) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                path = self.path.split("?")[0]
                backend.asked[self.command, path] += 1
                backend.headers.append(dict(self.headers))
                if backend.broken:
                    self.answer(503, b"broken")
                elif "/blobs/" in path and path.endswith("ab"):
                    self.answer(200, BLOB, slow=True)
                elif "/manifests/" in path and "missing" not in path:
                    self.answer(200, backend.tag)
                elif path in ("/v2/", "/v2/app/tags/list"):
                    self.answer(200, b"{}")
                else:
                    self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')

            do_HEAD = do_GET
            do_DELETE = do_GET

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
                self.send_response(status)
                self.send_header(API_VERSION, "registry/2.0")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Set-Cookie", "a=b")
                self.send_header("Cache-Control", "private")
                self.end_headers()
                if self.command == "HEAD":
                    return
                for start in range(0, len(body), 1_000_000):
                    self.wfile.write(body[start : start + 1_000_000])
                    time.sleep(0.1 if slow else 0)

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
    hosted: Backend
    cache: Backend
    log: Path

    def ask(
        self,
        method: str,
        path: str,
        *,
        host: str = "mirror.test",
        user: tuple[str, str] | None = None,
        source: str = ALLOWED,
        body: Any = None,
        **headers: str,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20, source_address=(source, 0))
        sent = {"Host": host, **headers}
        if user:
            sent["Authorization"] = "Basic " + base64.b64encode(":".join(user).encode()).decode()
        connection.request(method, path, body, sent, encode_chunked=body is not None)
        response = connection.getresponse()
        seen: dict[str, list[str]] = {}
        for name, value in response.getheaders():
            seen.setdefault(name, []).append(value)
        answer = Answer(response.status, response.read(), seen)
        connection.close()
        return answer


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    hosted, cache = Backend(), Backend()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tier = parse(
        {
            "hosts": [{"name": "h", "address": "192.0.2.1"}],
            "image": {"reference": "registry:3"},
            "registries": [
                {"kind": "hosted", "name": "hosted", "host": "h", "port": hosted.port},
                {
                    "kind": "cache",
                    "name": "hub",
                    "host": "h",
                    "port": cache.port,
                    "serves": "docker.io",
                    "upstream": "https://registry-1.docker.io",
                },
            ],
            "proxy": {
                "host": "h",
                "endpoints": [
                    {"registry": "hosted", "port": port, "server_name": "hosted.test"},
                    {"registry": "hub", "port": port, "server_name": "mirror.test"},
                ],
                "users": [{"name": "pusher", "role": "push"}, {"name": "puller", "role": "pull"}],
                "cache": {"tag_lifetime": "1s"},
            },
            "firewall": {"allow": ["192.0.2.0/24"]},
        }
    )
    rendered = nginx_site.render(tier)
    places = {
        CACHES: str(tmp_path / "cache"),
        OURS: str(tmp_path / "etc"),
        "/var/log/nginx": str(tmp_path),
        f"listen {port};": f"listen 127.0.0.1:{port};",
        f"listen [::]:{port};": f"listen [::1]:{port};",
        "127.0.0.0/8": ALLOWED,
    }

    def moved(text: str) -> str:
        for old, new in places.items():
            text = text.replace(old, new)
        return text

    (tmp_path / "cache").mkdir()
    (tmp_path / "etc").mkdir()
    lines = {user: f"{user[0]}:{bcrypt_hash.make(user[1], 4)}\n" for user in (PUSHER, PULLER)}
    (tmp_path / "etc" / "pull.htpasswd").write_text("# ours\n" + "".join(lines.values()))
    (tmp_path / "etc" / "push.htpasswd").write_text("# ours\n" + lines[PUSHER])
    (tmp_path / "site.conf").write_text(moved(rendered.site.text))
    for document, needs in rendered.optional:
        path = Path(moved(document.path))
        path.parent.mkdir(exist_ok=True)
        if needs != "ipv6" or has_ipv6():
            path.write_text(moved(document.text))
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"{'user root;' if os.geteuid() == 0 else ''} daemon off; worker_processes 2; pid {tmp_path}/pid;\n"
        f"error_log {tmp_path}/error.log; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;\n"
        f"fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n"
        f"include {tmp_path}/site.conf; }}\n"
    )
    server = subprocess.Popen([nginx(), "-c", str(main), "-p", str(tmp_path), "-e", str(tmp_path / "error.log")])
    try:
        live = Site(port, rendered.generation, hosted, cache, tmp_path / "http-registry.access.log")
        for _ in range(100):
            try:
                live.ask("GET", MARKER)
                break
            except OSError:
                time.sleep(0.05)
        yield live
    finally:
        server.terminate()
        server.wait(timeout=10)
        for backend in (hosted, cache):
            backend.server.shutdown()
            backend.server.server_close()


def blob_of(repository: str = "app") -> str:
    return f"/v2/{repository}/blobs/{DIGEST}"


def test_eight_cold_pulls_are_one_fetch_and_warm_ones_need_no_registry(site: Site) -> None:
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda number: site.ask("GET", blob_of(f"app{number % 2}")), range(8)))
    assert [each.body == BLOB for each in answers] == [True] * 8
    assert sum(site.cache.asked.values()) == 1
    site.cache.broken = True
    assert site.ask("GET", blob_of()).body == BLOB
    assert site.ask("HEAD", blob_of()).headers["Content-Length"] == [str(len(BLOB))]
    partly = site.ask("GET", blob_of(), Range="bytes=10-19")
    assert (partly.status, partly.body) == (206, BLOB[10:20])
    assert sum(site.cache.asked.values()) == 1
    site.cache.server.shutdown()
    site.cache.server.server_close()
    assert site.ask("GET", blob_of() + "?ns=docker.io").body == BLOB


def test_a_cold_head_of_a_blob_fetches_no_blob_and_poisons_nothing(site: Site) -> None:
    head = site.ask("HEAD", blob_of())
    assert (head.status, head.headers["Content-Length"]) == (200, [str(len(BLOB))])
    assert dict(site.cache.asked) == {("HEAD", blob_of()): 1}
    assert site.ask("GET", blob_of()).body == BLOB


def test_a_cold_range_is_a_range(site: Site) -> None:
    partly = site.ask("GET", blob_of(), Range="bytes=2000000-2000009")
    assert (partly.status, partly.body) == (206, BLOB[2000000:2000010])


def test_a_tag_is_kept_for_its_lifetime_and_beyond_it_only_while_the_registry_is_broken(site: Site) -> None:
    tag = "/v2/app/manifests/1"
    assert site.ask("GET", tag).body == b"first"
    site.cache.tag = b"second"
    assert site.ask("GET", tag + "?ns=docker.io", Accept="application/json").body == b"first"
    assert site.ask("HEAD", tag).headers["Content-Length"] == [str(len(b"second"))]
    time.sleep(2.1)
    site.cache.broken = True
    assert site.ask("GET", tag).body == b"first"
    site.cache.broken = False
    time.sleep(1.1)
    assert site.ask("GET", tag).body == b"second"


def test_a_manifest_by_digest_is_asked_for_once(site: Site) -> None:
    for _ in range(3):
        assert site.ask("GET", f"/v2/app/manifests/{DIGEST}").body == b"first"
        assert site.ask("HEAD", f"/v2/app/manifests/{DIGEST}").status == 200
    assert sorted(site.cache.asked.values()) == [1, 1]


def test_a_mirror_asks_for_every_manifest_type_whatever_the_client_accepts(site: Site) -> None:
    site.ask("GET", "/v2/app/manifests/1", Accept="text/plain")
    assert "oci.image.index" in site.cache.headers[-1]["Accept"]
    assert "manifest.list" in site.cache.headers[-1]["Accept"]


def test_what_is_missing_or_listed_is_asked_each_time(site: Site) -> None:
    for path in ("/v2/", "/v2/app/tags/list", "/v2/app/manifests/missing"):
        for _ in range(2):
            site.ask("GET", path)
        assert site.cache.asked["GET", path] == 2


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE", "OPTIONS", "BREW"])
def test_a_mirror_can_only_be_read(site: Site, method: str) -> None:
    answer = site.ask(method, blob_of())
    assert (answer.status, answer.code()) == (405, "UNSUPPORTED")
    assert answer.headers[API_VERSION] == ["registry/2.0"]
    assert not site.cache.asked


@pytest.mark.parametrize("host", ["hosted.test", "mirror.test"])
@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/",
        "/v2",
        "/debug/vars",
        f"/v2/app/blobs/{DIGEST}/../../manifests/1",
        "/v2/%2e%2e/metrics",
        "/v2/../metrics",
        "/v2//app/manifests/1",
        "/v2/./app/manifests/1",
        "/%76%32/app/manifests/1",
        "/v2/app%2fother/manifests/1",
        "/v2/app/manifests/1%00",
        "/v2/app\\..\\manifests/1",
        "//v2/app/manifests/1",
        "/v2/app/manifests/1#x",
        "/V2/app/manifests/1",
    ],
)
def test_only_plain_paths_below_v2_reach_a_registry(site: Site, host: str, path: str) -> None:
    answer = site.ask("GET", path, host=host, user=PUSHER)
    assert answer.status in (400, 404)
    if answer.status == 404:
        assert answer.code() == "NAME_INVALID"
    assert not site.cache.asked
    assert not site.hosted.asked


def test_strangers_get_nothing(site: Site) -> None:
    for host in ("hosted.test", "mirror.test"):
        answer = site.ask("GET", "/v2/", host=host, user=PUSHER, source=STRANGER)
        assert (answer.status, answer.code(), answer.headers[API_VERSION]) == (403, "DENIED", ["registry/2.0"])
        assert site.ask("GET", MARKER, host=host, source=STRANGER).status == 404
        assert site.ask("GET", MARKER, host=host).body.decode() == site.generation
    assert not site.hosted.asked


def test_the_marker_tells_which_site_is_live(site: Site) -> None:
    for address in ["127.0.0.1", *(["::1"] if has_ipv6() else [])]:
        probe = Probe(site.port, "mirror.test", address)
        assert complaint(probe, site.generation) is None
        assert "an older site" in str(complaint(probe, "another"))
        assert still_there(probe, site.generation)
        assert still_there(probe, "another") is None
    assert "refused" in str(complaint(Probe(1, "mirror.test"), site.generation))


def test_the_stranger_gets_no_cached_blob(site: Site) -> None:
    assert site.ask("GET", blob_of()).status == 200
    assert site.ask("GET", blob_of(), source=STRANGER).status == 403


def test_a_hosted_registry_wants_a_user(site: Site) -> None:
    for user in (None, ("puller", "wrong"), ("nobody", "secret-1")):
        answer = site.ask("GET", "/v2/", host="hosted.test", user=user)
        assert (answer.status, answer.code()) == (401, "UNAUTHORIZED")
        assert answer.headers["WWW-Authenticate"] == ['Basic realm="http-registry"']
        assert answer.headers[API_VERSION] == ["registry/2.0"]
        assert answer.headers["Content-Type"] == ["application/json"]
        assert answer.headers["Server"] == ["nginx"]
    assert not site.hosted.asked


def test_pull_users_read_and_push_users_write(site: Site) -> None:
    for user in (PULLER, PUSHER):
        answer = site.ask("GET", "/v2/", host="hosted.test", user=user)
        assert (answer.status, answer.headers[API_VERSION]) == (200, ["registry/2.0"])
        assert site.ask("HEAD", "/v2/app/manifests/1", host="hosted.test", user=user).status == 200
    assert site.ask("DELETE", "/v2/app/manifests/1", host="hosted.test", user=PULLER).status == 401
    assert site.hosted.asked["DELETE", "/v2/app/manifests/1"] == 0
    assert site.ask("DELETE", "/v2/app/manifests/1", host="hosted.test", user=PUSHER).status == 200


def test_a_hosted_registry_is_asked_each_time(site: Site) -> None:
    for path in ("/v2/app/manifests/1", f"/v2/app/manifests/{DIGEST}", blob_of()):
        for _ in range(2):
            assert site.ask("GET", path, host="hosted.test", user=PULLER).status == 200
        assert site.hosted.asked["GET", path] == 2


def test_an_upload_streams_through(site: Site) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * 1_000_000
        for _ in range(100):
            if site.hosted.uploaded:
                break
            time.sleep(0.05)
        assert site.hosted.uploaded, "the registry saw nothing before the upload's end"
        yield b"x" * 3_000_000

    answer = site.ask("PATCH", "/v2/app/blobs/uploads/1", host="hosted.test", user=PUSHER, body=chunks())
    assert answer.status == 202
    assert site.hosted.uploaded[-1] == 4_000_000


def test_the_registry_learns_where_its_clients_are_and_no_password(site: Site) -> None:
    site.ask(
        "GET",
        "/v2/",
        host="hosted.test",
        user=PULLER,
        **{"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil", "Forwarded": "host=evil"},
    )
    seen = site.hosted.headers[-1]
    assert seen["Host"] == seen["X-Forwarded-Host"] == "hosted.test"
    assert (seen["X-Forwarded-For"], seen["X-Forwarded-Proto"]) == (ALLOWED, "http")
    assert not {"Authorization", "Forwarded"} & seen.keys()


def test_a_dead_registry_is_a_502_in_json(site: Site) -> None:
    site.hosted.server.shutdown()
    site.hosted.server.server_close()
    answer = site.ask("GET", "/v2/", host="hosted.test", user=PULLER)
    assert (answer.status, answer.code()) == (502, "UNAVAILABLE")


def test_the_access_log_tells_about_the_cache_and_no_secret(site: Site) -> None:
    for _ in range(2):
        site.ask("GET", blob_of())
    site.ask("GET", "/v2/", host="hosted.test", user=PULLER)
    lines = [json.loads(line) for line in site.log.read_text().splitlines()]
    assert [line["cache"] for line in lines] == ["MISS", "HIT", ""]
    assert int(lines[0]["upstream_bytes"]) >= len(BLOB)
    assert (lines[1]["upstream_bytes"], lines[1]["status"], lines[2]["user"]) == ("", "200", "puller")
    assert PULLER[1] not in site.log.read_text()
    assert base64.b64encode(":".join(PULLER).encode()).decode() not in site.log.read_text()
