"""Decides: a proxy in a runtime's environment is named where it stands before a registry, and only then."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from doctor.finding import BROKEN, OK
from doctor.pull import Endpoint, Image, Pull, Wanted
from doctor.steps import runtime
from doctor.steps.proxy_environment import complaint, extended, passed_by, proxy_of
from hostctl.host import Host

MIRROR = Endpoint("http://192.168.1.11:5080", "f")
TLS = Endpoint("https://registry.example.com", "f")


@pytest.mark.parametrize(
    ("no_proxy", "url", "passed"),
    [
        ("", MIRROR.url, False),
        ("192.168.1.11", MIRROR.url, True),
        ("192.168.1.11:5080", MIRROR.url, True),
        ("192.168.1.11:5081", MIRROR.url, False),
        ("192.168.1.1", MIRROR.url, False),
        ("10.0.0.0/8, 192.168.0.0/16", MIRROR.url, True),
        ("192.168.2.0/24,nonsense/x", MIRROR.url, False),
        ("*", MIRROR.url, True),
        ("registry.example.com", TLS.url, True),
        ("registry.example.com:443", TLS.url, True),
        ("registry.example.com:80", TLS.url, False),
        ("example.com", TLS.url, True),
        (".example.com", TLS.url, True),
        ("*.example.com", TLS.url, True),
        (".registry.example.com", TLS.url, False),
        ("ample.com", TLS.url, False),
        ("REGISTRY.Example.com", TLS.url, True),
        ("", "http://127.0.0.1:5079", True),
        ("", "http://localhost:5000", True),
        ("", "http://[::1]:5000", True),
        ("fd00::/8", "http://[fd00::11]:5000", True),
        ("[fd00::11]:5000", "http://[fd00::11]:5000", True),
        ("fd00::11", "http://[fd00::11]:5000", True),
        ("fd00::12", "http://[fd00::11]:5000", False),
    ],
)
def test_no_proxy(no_proxy: str, url: str, passed: bool) -> None:
    assert passed_by(no_proxy, url) is passed


@pytest.mark.parametrize(
    ("environment", "endpoint", "proxy"),
    [
        ({}, MIRROR, ""),
        ({"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:2"}, MIRROR, "http://p:1"),
        ({"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:2"}, TLS, "http://p:2"),
        ({"http_proxy": "http://p:1", "no_proxy": "192.168.1.11"}, MIRROR, ""),
        ({"http_proxy": "http://p:3"}, MIRROR, "http://p:3"),
    ],
)
def test_the_proxy_goes_by_the_scheme(environment: dict[str, str], endpoint: Endpoint, proxy: str) -> None:
    assert proxy_of(environment, endpoint) == proxy


def test_no_proxy_is_added_to() -> None:
    assert extended({"NO_PROXY": "10.0.0.0/8"}, [MIRROR, MIRROR, TLS]) == "10.0.0.0/8,192.168.1.11,registry.example.com"


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    status = 200
    asked: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: _Proxy

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_CONNECT = do_GET


@pytest.fixture
def proxy() -> Iterator[_Proxy]:
    with _Proxy(("127.0.0.1", 0), _Handler) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def url(server: _Proxy) -> str:
    return f"http://somebody:secret@127.0.0.1:{server.server_address[1]}"


@pytest.mark.parametrize(("status", "gets_there"), [(200, True), (401, True), (407, True), (502, False), (504, False)])
def test_a_proxy_that_gets_there_is_no_reason(proxy: _Proxy, status: int, gets_there: bool) -> None:
    proxy.status = status
    said = complaint(url(proxy), MIRROR)
    assert (said is None) is gets_there
    assert "secret" not in str(said)
    complaint(url(proxy), TLS)
    assert proxy.asked == ["GET http://192.168.1.11:5080/v2/", "CONNECT registry.example.com:443"]


def test_a_proxy_that_is_not_there_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"http://somebody:secret@127.0.0.1:{free.getsockname()[1]}"
    pull = Pull("containerd", Image("docker.io", "app"), Wanted((MIRROR.url,)))

    def look(**environment: str) -> tuple[str, list[str]]:
        monkeypatch.setitem(runtime.READERS, "containerd", lambda *_: ([MIRROR], environment))
        seen, _ = runtime.endpoints(Host(tmp_path), pull)
        assert "secret" not in str(seen)
        return seen.state, [f"{each.cause} {each.values['no_proxy']}" for each in seen.findings]

    assert look(HTTP_PROXY=gone, NO_PROXY="10.0.0.1") == (BROKEN, ["proxy-environment 10.0.0.1,192.168.1.11"])
    assert look(HTTP_PROXY=gone, NO_PROXY="192.168.1.0/24") == (OK, [])
    assert look(HTTPS_PROXY=gone) == (OK, [])


def test_a_proxy_of_another_kind_is_left_alone() -> None:
    assert complaint("socks5://127.0.0.1:1", MIRROR) is None
