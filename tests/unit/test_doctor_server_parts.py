"""Decides what doctor makes of what a server's parts say: upstreams, certificates, containers, logs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from doctor.finding import OK, SKIPPED
from doctor.server import PARTS, certificates, log_tail, look, registries, storage, upstreams
from hostctl.docker_api import Answer
from hostctl.host import Host
from hostctl.units.origin import CONFIG
from ops import authority
from settings import certificates as settings_certificates
from tests.certificates import DAY, NOW, server
from tests.certificates import authority as signer
from tests.unit.test_reach import Told

NOTHING: dict[str, Any] = {key: [] for key in ("endpoints", "containers", "caches", "stores", "folders", "clients")}


Say = Callable[[str, str], tuple[int, dict[str, str]]]


def always(status: int, headers: dict[str, str]) -> Say:
    """The same answer to everything."""
    return lambda *_: (status, headers)


class Silent(Host):
    """A host on which nothing is installed."""

    def has(self, program: str) -> bool:
        return False


@contextmanager
def answering(say: Say) -> Iterator[str]:
    """An HTTP server: status and headers by path and Authorization."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers = say(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value.replace("$self", f"http://127.0.0.1:{served.server_port}"))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{served.server_port}"
    finally:
        served.shutdown()
        served.server_close()


BASIC = {"WWW-Authenticate": 'Basic realm="x"'}
BEARER = {"WWW-Authenticate": 'Bearer realm="$self/token",service="x"'}
LOGIN = "Basic dTpw"
UPSTREAMS: dict[str, tuple[Say, str, str]] = {
    "open": (always(200, {}), "", ""),
    "tokens for anybody": (always(401, BEARER), "", ""),
    "too many": (always(429, {}), "", "upstream-rate-limited"),
    "a fault": (always(503, {}), "", "upstream-down"),
    "a password, right": (lambda _, login: (200, {}) if login == LOGIN else (401, BASIC), "u", ""),
    "a password, wrong": (always(401, BASIC), "u", "upstream-login-refused"),
    "a password, none is set": (always(401, BASIC), "", "upstream-login-refused"),
    "a token for this login": (
        lambda path, login: (200, {}) if path.startswith("/token") and login == LOGIN else (401, BEARER),
        "u",
        "",
    ),
    "no token for this login": (always(401, BEARER), "u", "upstream-login-refused"),
    "too many tokens": (
        lambda path, _: (429, {}) if path.startswith("/token") else (401, BEARER),
        "u",
        "upstream-rate-limited",
    ),
}


def cache(upstream: str, user: str) -> dict[str, Any]:
    return {"registry": "hub", "upstream": upstream, "user": user, "origin": False, "ask": ""}


@pytest.mark.parametrize(("say", "user", "cause"), UPSTREAMS.values(), ids=UPSTREAMS)
def test_upstreams(tmp_path: Path, say: Say, user: str, cause: str) -> None:
    file = Host(tmp_path).path(CONFIG)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"registries": {"hub": {"user": user, "password": "p"} if user else {}}}))
    with answering(say) as url:
        found = list(upstreams.look(Host(tmp_path), {**NOTHING, "caches": [cache(url, user)]}))
    assert [each.cause for each in found] == ([cause] if cause else [])
    assert not any(LOGIN in str(each) or "'p'" in str(each) for each in found)


def test_an_upstream_that_is_not_there(tmp_path: Path) -> None:
    with answering(always(200, {})) as url:
        pass
    (found,) = upstreams.look(Told({}), {**NOTHING, "caches": [cache(url, "")]})
    assert (found.cause, found.evidence) == ("upstream-down", f"GET {url}/v2/: Connection refused")


@pytest.mark.parametrize("days", [0.2, 1, 29, 31, 5000, 40000])
def test_the_end_of_a_certificate(days: float) -> None:
    ends = NOW + timedelta(days=days)
    of_server = server("registry.test", signer(ends=NOW + 50000 * DAY), ends=ends)
    assert certificates.end_of(of_server.der) == ends.timestamp()


@pytest.mark.parametrize(("days", "found"), [(-1, []), (3, ["certificate-near-end"]), (31, [])])
def test_a_certificate_near_its_end(tmp_path: Path, days: int, found: list[str]) -> None:
    by = signer()
    (tmp_path / "x.crt").write_text(
        server("registry.test", by, starts=NOW - 9 * DAY, ends=NOW + days * DAY).pem + by.pem
    )
    endpoint = {"certificate": "/x.crt", "name": "registry.test", "port": 443}
    told = list(certificates.look(Host(tmp_path), {**NOTHING, "endpoints": [endpoint, {**endpoint, "port": 5443}]}))
    assert [each.cause for each in told] == found
    assert all(each.values["port"] == "443, 5443" and each.values["days"] == "2" for each in told)


def test_when_an_end_is_near_is_said_alike_everywhere() -> None:
    assert timedelta(days=certificates.DAYS) == authority.RENEW == settings_certificates.NOTICE


CONTAINERS = {
    "at work": ({"Status": "running"}, 200, ""),
    "with token auth": ({"Status": "running"}, 401, ""),
    "at fault": ({"Status": "running"}, 503, "status 503"),
    "stopped": ({"Status": "exited", "ExitCode": 2, "Error": ""}, 0, "docker inspect: exited (2)"),
    "not started": ({"Status": "created", "ExitCode": 128, "Error": "no port"}, 0, "created (128), no port"),
}
LOG = (
    b'\x01\x00\x00\x00\x00\x00\x00\x10{"level":"info"}\n'
    b'\x02\x00\x00\x00\x00\x00\x00\x40{"level":"fatal","msg":"no config"}\n'
)


@pytest.mark.parametrize(("state", "status", "evidence"), CONTAINERS.values(), ids=CONTAINERS)
def test_containers(monkeypatch: pytest.MonkeyPatch, state: dict[str, Any], status: int, evidence: str) -> None:
    def call(host: Host, method: str, path: str, *more: Any, **options: Any) -> Answer:
        return Answer(200, LOG if path.endswith("/logs") else json.dumps({"State": state}).encode())

    monkeypatch.setattr("hostctl.docker_api.call", call)
    with answering(always(status, {})) as url:
        container = {"name": "c", "registry": "hosted", "url": url}
        systemd = Told({"systemctl show": "LoadState=loaded\nActiveState=active\nMainPID=5\n"})
        found = list(registries.look(systemd, {**NOTHING, "containers": [container]}))
    assert [each.cause for each in found] == (["registry-down"] if evidence else [])
    assert all(evidence in each.evidence and each.evidence.endswith("its log: no config") for each in found)


def test_a_docker_that_is_stopped_is_not_woken() -> None:
    systemd = Told({"systemctl show": "LoadState=loaded\nActiveState=inactive\nMainPID=0\n"})
    container = {"name": "c", "registry": "hosted", "url": "http://127.0.0.1:9"}
    endpoint = {"registry": "hosted", "name": "r.test", "port": 80, "nginx": True, "passwords": True}
    served = {**NOTHING, "containers": [container], "endpoints": [endpoint]}
    (found,) = registries.look(systemd, served)
    assert (found.cause, found.evidence) == ("registry-docker-down", "docker.service is inactive")
    assert found.values["endpoints"] == "r.test:80"


def test_the_newest_line_of_nginx_s_log(tmp_path: Path) -> None:
    now, long_ago = (time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(time.time() - age)) for age in (60, 86400))
    (tmp_path / "etc/nginx").mkdir(parents=True)
    (tmp_path / "etc/nginx/nginx.conf").write_text("error_log /error.log;\n")
    host = Host(tmp_path)
    assert log_tail.nginx_errors(host) == []
    (tmp_path / "error.log").write_text(
        f"{long_ago} [crit] old\nmore of it\n{now} [crit] new\nmore\n{now} [error] last\n"
    )
    lines = log_tail.nginx_errors(host)
    assert len(lines) == 3
    assert log_tail.newest(lines, r"\[crit\]") == f"{now} [crit] new"
    assert log_tail.newest(lines, "old") is None


def test_file_systems_by_where_they_are_mounted() -> None:
    assert storage.mount_of(Path("/var/cache/nginx/x"), ["/", "/var", "/var/cache/ng"]) == "/var"
    assert storage.mount_of(Path("/var"), ["/", "/var"]) == "/var"


def test_a_part_that_can_not_be_asked_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def waits(host: Host, served: Any) -> Iterator[Any]:
        time.sleep(0.4)
        yield from ()

    def fails(host: Host, served: Any) -> Iterator[Any]:
        raise KeyError("secret")

    monkeypatch.setattr("doctor.server.SECONDS", 0.1)
    monkeypatch.setitem(PARTS, "origin", waits)
    monkeypatch.setitem(PARTS, "storage", fails)
    seen = {each.step: (each.state, each.said) for each in look(Silent(), NOTHING)}
    assert seen.pop("origin") == (SKIPPED, "no end within 0.1 s")
    state, said = seen.pop("storage")
    assert state == SKIPPED
    assert "KeyError" in said
    assert "secret" not in said
    assert seen == dict.fromkeys(PARTS.keys() - {"origin", "storage"}, (OK, "as it should be"))
