"""Decides what dockerd gets from the relay: a real nginx on a loopback port before a mirror that asks for a login."""

from __future__ import annotations

import base64
import http.client
import os
import re
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from documents import docker_relay
from documents.access import Access, basic
from hostctl import nginx_workers
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.unit import Change
from hostctl.units.docker_relay import CONFIG, MARKER, SERVICE, DockerRelay
from tests.free_port import free_port
from tests.programs.nginx import running
from tests.programs.served_site import POLL

LOGIN = basic("puller", 'se"cr$et\\')
BODY = b"x" * 5_000_000
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass
class Mirror:
    """What it was asked; its answer without the right login is 401."""

    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    login: str = LOGIN

    def handler(mirror) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                mirror.asked.append((self.command, self.path, self.headers["Host"]))
                known = self.headers.get_all("Authorization") == [mirror.login]
                self.send_response(200 if known else 401)
                self.send_header("Content-Length", str(len(BODY)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(BODY)

            do_HEAD = do_GET
            do_PUT = do_GET

        return Handler


@dataclass
class Relay:
    port: int
    mirror: Mirror
    mirror_port: int
    generation: str
    config: Path

    def change_login(self, login: str) -> None:
        """As hostctl does: another configuration, and the signal to read it."""
        text = self.config.read_text()
        self.config.write_text(re.sub(r"Authorization .*;", f'Authorization "{login}";', text))
        main = int((self.config.parent / "pid").read_text())
        nginx_workers.reload(main, lambda: os.kill(main, signal.SIGHUP))

    def ask(self, method: str, path: str, source: str = "127.0.0.1", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10, source_address=(source, 0))
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    mirror = Mirror()
    server = ThreadingHTTPServer(("127.0.0.1", 0), mirror.handler())
    threading.Thread(target=server.serve_forever, args=(POLL,), daemon=True).start()
    port, mirror_port = free_port(), int(server.server_address[1])
    access = Access({f"127.0.0.1:{mirror_port}": LOGIN})
    rendered = docker_relay.render(access.endpoint(f"http://127.0.0.1:{mirror_port}"), port)
    text = next(each.text for each in rendered.files if each.path == CONFIG)
    config = tmp_path / "relay.conf"
    temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind}; " for kind in TEMPORARY)
    text = text.replace(f"/run/{SERVICE}.pid", f"{tmp_path}/pid").replace("http {", f"http {{ {temporary}", 1)
    config.write_text(text.replace("error_log stderr warn", f"error_log {tmp_path}/error.log warn"))
    live = Relay(port, mirror, mirror_port, rendered.generation, config)
    try:
        with running(config, lambda: live.ask("GET", MARKER)):
            yield live
    finally:
        server.shutdown()
        server.server_close()


def test_a_pull_comes_through_with_the_login(relay: Relay) -> None:
    assert relay.ask("GET", "/v2/app/blobs/sha256:1?ns=docker.io") == (200, BODY)
    assert relay.ask("HEAD", "/v2/") == (200, b"")
    assert relay.mirror.asked == [
        ("GET", "/v2/app/blobs/sha256:1?ns=docker.io", f"127.0.0.1:{relay.mirror_port}"),
        ("HEAD", "/v2/", f"127.0.0.1:{relay.mirror_port}"),
    ]


def test_what_a_client_says_of_itself_does_not_count(relay: Relay) -> None:
    wrong = "Basic " + base64.b64encode(b"me:wrong").decode()
    assert relay.ask("GET", "/v2/", Authorization=wrong)[0] == 200


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_it_only_reads(relay: Relay, method: str) -> None:
    assert relay.ask(method, "/v2/app/blobs/uploads/")[0] == 403
    assert relay.mirror.asked == []


@pytest.mark.parametrize("path", ["/", "/v1/", "/.http-registry/generation"])
def test_nothing_but_the_registry_s_api_is_passed_on(relay: Relay, path: str) -> None:
    assert relay.ask("GET", path)[0] == 404
    assert relay.mirror.asked == []


def test_the_marker_tells_the_configuration_and_nothing_of_the_login(relay: Relay) -> None:
    assert relay.ask("GET", MARKER) == (200, relay.generation.encode())
    other = docker_relay.render(Access({"m": basic("puller", "another")}).endpoint("http://m"), 1)
    assert other.generation == docker_relay.render(Access({"m": LOGIN}).endpoint("http://m"), 1).generation
    assert other.generation != docker_relay.render(Access({"m": LOGIN}).endpoint("http://m"), 2).generation


def test_a_mirror_over_https_is_asked_by_its_name_and_its_authority() -> None:
    access = Access({"m.lan:8443": LOGIN}, {"m.lan:8443": "/etc/ca.pem"})
    text = docker_relay.render(access.endpoint("https://m.lan:8443"), 5079).files[0].text
    assert "server m.lan:8443;" in text
    assert "proxy_ssl_verify on;" in text
    assert "proxy_ssl_name m.lan;" in text
    assert "proxy_ssl_trusted_certificate /etc/ca.pem;" in text


@pytest.mark.parametrize("word", ["one", "two", "three"])
def test_a_changed_login_is_proved_and_a_wrong_one_refused(relay: Relay, word: str) -> None:
    """No worker of before may answer for the new ones: it has the other login."""
    change = Change({}, {}, facts={"port": relay.port})
    relay.mirror.login = basic("puller", word)
    relay.change_login(relay.mirror.login)
    DockerRelay().prove(Host(), change)
    relay.change_login(basic("puller", "wrong"))
    with pytest.raises(HostError, match="the mirror refuses the login"):
        DockerRelay().prove(Host(), change)
