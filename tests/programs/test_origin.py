"""Decides what nginx gets from the origin service: the real program on a unix socket before a hub of three servers."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import authority, server
from tests.free_port import free_port
from tests.programs.hub import SIGNATURE, Hub
from tests.programs.origin_service import Origin

BLOB = os.urandom(3_000_000)
DIGEST = "sha256:" + "ab" * 32
PATH = f"/hub/v2/library/app/blobs/{DIGEST}"
LOGIN = "puller:pa:ss wörd"
Started = Callable[..., tuple[Hub, Origin]]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """Starts a hub and the service before it: fields of the registry's configuration, and of the hub."""
    running: list[Any] = []

    def start(registry: dict[str, Any] | None = None, environment: dict[str, str] | None = None, **of_hub: Any) -> Any:
        hub = Hub({DIGEST: BLOB}, **of_hub)
        settings = {"bases": [hub.url(hub.registry)], **(registry or {})}
        running.extend([hub, Origin(tmp_path, {"hub": settings}, environment or {})])
        return running[-2:]

    try:
        yield start
    finally:
        for each in running:
            each.close()


def test_it_says_what_there_is(started: Started) -> None:
    _, origin = started()
    got = origin.ask("/")
    assert (got.status, json.loads(got.body)) == (200, {"registries": ["hub"], "generation": "g1"})


def test_32_cold_clients_cost_one_token_and_slices_one_redirect(started: Started) -> None:
    hub, origin = started(slow_tokens=0.2)
    with ThreadPoolExecutor(32) as clients:
        answers = list(clients.map(lambda _: origin.ask(PATH), range(32)))
    assert [(each.status, each.body == BLOB) for each in answers] == [(200, True)] * 32
    assert hub.counts["tokens"] == 1
    assert hub.counts["bytes"] == 32 * len(BLOB)
    before = hub.counts.copy()
    for start in range(0, len(BLOB), 500_000):
        got = origin.ask(PATH, Range=f"bytes={start}-{start + 499_999}")
        assert (got.status, got.body) == (206, BLOB[start : start + 500_000])
        assert got.headers["Content-Range"] == f"bytes {start}-{start + 499_999}/{len(BLOB)}"
    assert hub.counts["registry GET"] == before["registry GET"]
    assert hub.counts["tokens"] == 1


def test_connections_are_kept(started: Started) -> None:
    hub, origin = started()
    connection = origin.connection()
    for _ in range(20):
        connection.request("GET", PATH, headers={"Range": "bytes=0-9"})
        assert connection.getresponse().read() == BLOB[:10]
    connection.close()
    assert hub.counts["connections"] == 3  # registry, token server, store


def test_the_headers_that_nginx_needs(started: Started) -> None:
    hub, origin = started()
    got = origin.ask(PATH, Accept="a/b", Range="bytes=5-6", Authorization="Basic bWU6bWU=", Cookie="c=d")
    assert got.headers == {
        "Content-Type": "binary/octet-stream",
        "Content-Range": f"bytes 5-6/{len(BLOB)}",
        "ETag": f'"{DIGEST}"',
        "Docker-Content-Digest": DIGEST,
        "Accept-Ranges": "bytes",
        "Content-Length": "2",
    }
    at_store = next(said for path, said in hub.headers if SIGNATURE in path)
    assert (at_store["Accept"], at_store["Range"]) == ("a/b", "bytes=5-6")
    assert not {"Authorization", "Cookie"} & at_store.keys()
    assert {said.get("Authorization") for _, said in hub.headers} == {None, "Bearer t0"}
    head = origin.ask(PATH, "HEAD")
    assert (head.status, head.headers["Content-Length"], head.body) == (200, str(len(BLOB)), b"")
    manifest = origin.ask("/hub/v2/library/app/manifests/latest?ns=docker.io")
    assert (manifest.status, manifest.body) == (200, b'{"schemaVersion": 2}')
    assert manifest.headers["Content-Type"] == "application/vnd.oci.image.manifest.v1+json"


def test_what_nginx_has_is_not_sent_again(started: Started) -> None:
    hub, origin = started(redirect=None)
    tag = "/hub/v2/library/app/manifests/latest"
    etag = origin.ask(tag).headers["ETag"]
    got = origin.ask(tag, **{"If-None-Match": etag})
    assert (got.status, got.body, got.headers["ETag"]) == (304, b"", etag)
    assert origin.ask(PATH, **{"If-None-Match": f'"{DIGEST}"'}).status == 200
    assert all("If-None-Match" not in said for path, said in hub.headers if "blobs" in path)


def test_lists(started: Started) -> None:
    _hub, origin = started(auth="none")
    got = origin.ask("/hub/v2/library/app/tags/list?n=1&last=a")
    assert (got.status, json.loads(got.body)) == (200, {"asked": "/v2/library/app/tags/list?n=1&last=a"})
    assert got.headers["Link"] == '</v2/library/app/tags/list?n=1&last=b>; rel="next"'
    got = origin.ask(f"/hub/v2/library/app/referrers/{DIGEST}?artifactType=a/b%2Bc")
    assert json.loads(got.body) == {"asked": f"/v2/library/app/referrers/{DIGEST}?artifactType=a/b%2Bc"}
    assert origin.ask("/hub/v2/library/app/tags/other").status == 404


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (PATH[:-1] + "c", {}, 404, "BLOB_UNKNOWN"),
        (PATH, {"Range": "bytes=3000000-"}, 416, "RANGE_INVALID"),
        ("/hub/v2/library/app/manifests/sha256:bad", {}, 400, "DIGEST_INVALID"),
        ("/other/v2/a/blobs/" + DIGEST, {}, 404, "BLOB_UNKNOWN"),
        ("/hub/v2/", {}, 404, "NAME_INVALID"),
        ("/hub/v2/a/../../b/blobs/" + DIGEST, {}, 404, "NAME_INVALID"),
        ("/hub/v2/a%2fb/blobs/" + DIGEST, {}, 404, "NAME_INVALID"),
        ("/hub/v2/_catalog", {}, 404, "NAME_INVALID"),
    ],
)
def test_what_is_not_there(started: Started, path: str, headers: dict[str, str], status: int, code: str) -> None:
    _, origin = started()
    got = origin.ask(path, **headers)
    assert (got.status, got.code) == (status, code)
    if status == 416:
        assert got.headers["Content-Range"] == f"bytes */{len(BLOB)}"
    assert origin.log == ""


def test_it_only_reads(started: Started) -> None:
    hub, origin = started()
    assert [origin.ask(PATH, each).status for each in ("PUT", "POST", "DELETE", "PATCH")] == [405] * 4
    assert not hub.counts


def test_a_token_that_ended_early_is_renewed_once(started: Started) -> None:
    hub, origin = started()
    assert origin.ask(PATH).status == 200
    hub.token, hub.redirect = "t1", None
    time.sleep(0.01)
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda number: origin.ask(PATH, Range=f"bytes={number}-"), range(8)))
    assert [each.status for each in answers] == [206] * 8
    hub.store_status = [403]
    assert origin.ask("/hub/v2/library/app/manifests/1").status == 200
    assert hub.counts["tokens"] == 2


def test_a_token_is_renewed_before_it_ends_without_a_401(started: Started) -> None:
    hub, origin = started(expires_in=1, redirect=None)
    assert origin.ask(PATH).status == 200
    time.sleep(0.6)
    hub.token = "t1"
    assert origin.ask(PATH).status == 200
    assert (hub.counts["tokens"], hub.counts["401"]) == (2, 1)


@pytest.mark.parametrize("auth", ["token", "basic"])
def test_a_login(started: Started, auth: str) -> None:
    user, _, password = LOGIN.partition(":")
    hub, origin = started({"user": user, "password": password}, auth=auth, login=LOGIN)
    assert [origin.ask(PATH).status for _ in range(3)] == [200] * 3
    assert hub.counts["401"] == 1
    assert "password" not in origin.log


@pytest.mark.parametrize("auth", ["token", "basic"])
def test_a_wrong_login_is_refused_in_the_registry_s_form(started: Started, auth: str) -> None:
    hub, origin = started({"user": "puller", "password": "s3cr3t"}, auth=auth, login=LOGIN)
    got = origin.ask(PATH)
    assert (got.status, got.code) == (403, "DENIED")
    assert "s3cr3t" not in origin.log + got.body.decode()
    assert origin.log.count("\n") == 1
    hub.auth = "none"
    assert origin.ask(PATH).status == 200


def test_the_client_s_own_authorization_where_that_is_wanted(started: Started) -> None:
    hub, origin = started({"forward_authorization": True})
    got = origin.ask(PATH)
    assert (got.status, got.code) == (401, "UNAUTHORIZED")
    assert got.headers["WWW-Authenticate"].startswith('Bearer realm="')
    assert origin.ask(PATH, Authorization="Bearer t0").body == BLOB
    assert origin.ask(PATH).status == 401, "the place that another login was sent to is nobody else's"
    assert origin.ask(PATH, Authorization="Bearer t0", Range="bytes=0-0").body == BLOB[:1]
    assert (hub.counts["tokens"], hub.counts["registry GET"]) == (0, 3)


def test_a_place_that_says_no_is_asked_for_anew(started: Started) -> None:
    hub, origin = started()
    assert origin.ask(PATH).status == 200
    hub.store_status = [403]
    assert origin.ask(PATH).status == 200
    hub.store_status = [403, 403]
    assert (origin.ask(PATH).status, hub.counts["store"]) == (403, 5)
    assert SIGNATURE not in origin.log


def test_redirects_within_the_registry_keep_the_authorization(started: Started) -> None:
    hub, origin = started(redirect="relative")
    assert [origin.ask(PATH).body == BLOB for _ in range(2)] == [True] * 2
    assert (hub.counts["401"], hub.counts["registry GET"]) == (1, 4)
    hub.redirect = "loop"
    assert origin.ask(f"/hub/v2/other/blobs/{DIGEST}").status == 502
    assert "redirects more than 5 times" in origin.log


@pytest.mark.parametrize("chunked", [False, True])
def test_what_breaks_off_is_never_whole(started: Started, chunked: bool) -> None:
    hub, origin = started(cut_after=1_000_000, chunked=chunked)
    with pytest.raises(http.client.IncompleteRead):
        origin.ask(PATH)
    assert "broke off" in origin.log
    hub.cut_after = None
    assert origin.ask(PATH).body == BLOB


def test_one_that_can_not_be_reached(started: Started) -> None:
    _hub, origin = started({"bases": [f"http://127.0.0.1:{free_port()}"]})
    got = origin.ask(PATH)
    assert (got.status, got.code) == (502, "UNAVAILABLE")
    assert "can't be reached: Connection refused" in origin.log
    assert origin.ask("/").status == 200


def test_the_next_base_where_one_is_dead(started: Started) -> None:
    hub, origin = started(auth="none")
    hub.close()
    second = Hub({DIGEST: BLOB}, auth="none")
    origin.registries["hub"]["bases"].append(second.url(second.registry))
    origin.terminate()
    origin.process.wait(timeout=10)
    origin.start()
    assert [origin.ask(PATH).body == BLOB for _ in range(3)] == [True] * 3
    second.close()


@pytest.mark.parametrize("forgets", ["soon", "next"])
def test_a_kept_connection_that_died_is_no_failure(started: Started, forgets: str) -> None:
    hub, origin = started(auth="none", redirect=None, forgets=forgets)
    for _ in range(3):
        assert origin.ask(PATH).body == BLOB
        time.sleep(0.02)
    assert hub.counts["connections"] == 3


def test_a_client_that_goes_away_costs_nobody_else(started: Started) -> None:
    _hub, origin = started(rate=2_000_000)
    with ThreadPoolExecutor(4) as clients:
        others = [clients.submit(origin.ask, PATH) for _ in range(3)]
        gone = origin.connection()
        gone.request("GET", PATH)
        assert gone.getresponse().read(10) == BLOB[:10]
        gone.close()
        assert [each.result().body == BLOB for each in others] == [True] * 3
    assert origin.log == ""


def test_the_end_waits_for_transfers_and_who_comes_waits_for_the_next_one(started: Started) -> None:
    hub, origin = started(rate=3_000_000)
    idle = origin.connection()
    idle.request("GET", "/")
    idle.getresponse().read()
    with ThreadPoolExecutor(2) as clients:
        running = clients.submit(origin.ask, PATH)
        while not hub.counts["bytes"]:
            time.sleep(0.01)
        origin.terminate()
        time.sleep(0.1)
        late = clients.submit(origin.ask, PATH)
        assert running.result().body == BLOB
        assert origin.process.wait(timeout=10) == 0
        origin.start()
        assert late.result().body == BLOB
    idle.close()


def test_an_idle_service_ends_at_once(started: Started) -> None:
    _, origin = started()
    assert origin.ask("/").status == 200
    began = time.monotonic()
    origin.terminate()
    assert origin.process.wait(timeout=10) == 0
    assert time.monotonic() - began < 1


def test_many_connections_wait_for_their_place(started: Started) -> None:
    _, origin = started(auth="none", redirect=None)
    idle = [socket.socket(socket.AF_UNIX) for _ in range(256)]
    for each in idle:
        each.connect(str(origin.socket))
    with ThreadPoolExecutor(1) as client:
        waiting = client.submit(origin.ask, PATH)
        time.sleep(0.3)
        assert not waiting.done()
        idle.pop().close()
        assert waiting.result().body == BLOB
    for each in idle:
        each.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[tuple[str, str], str]:
    """Certificate and key of 127.0.0.1, as files, and their authority."""
    by = authority()
    signed = server("127.0.0.1", by)
    (tmp_path / "server.pem").write_text(signed.pem)
    (tmp_path / "server.key").write_text(signed.private)
    return (str(tmp_path / "server.pem"), str(tmp_path / "server.key")), by.pem


def test_tls_is_verified(started: Started, certificate: tuple[tuple[str, str], str]) -> None:
    files, ca = certificate
    _hub, origin = started({"ca": ca}, certificate=files, redirect=None)
    assert origin.ask(PATH).body == BLOB
    del origin.registries["hub"]["ca"]
    origin.terminate()
    origin.process.wait(timeout=10)
    origin.start()
    assert origin.ask(PATH).status == 502
    assert "its certificate is refused" in origin.log


def test_a_certificate_of_another_name(started: Started, tmp_path: Path) -> None:
    by = authority()
    signed = server("registry.internal", by)
    (tmp_path / "server.pem").write_text(signed.pem)
    (tmp_path / "server.key").write_text(signed.private)
    settings = {"ca": by.pem, "certificate_name": "registry.internal", "forward_authorization": True}
    files = (str(tmp_path / "server.pem"), str(tmp_path / "server.key"))
    _hub, origin = started({**settings, "verify_elsewhere": False}, certificate=files, auth="none")
    assert origin.ask(PATH).body == BLOB, "the store's certificate is of another name, and is not looked at"
    for key in ("verify_elsewhere", "certificate_name"):
        del origin.registries["hub"][key]
        origin.terminate()
        origin.process.wait(timeout=10)
        origin.start()
        assert origin.ask(PATH).status == 502
    assert origin.log.count("its certificate is refused") == 2


def test_no_password_goes_out_in_clear(started: Started, certificate: tuple[tuple[str, str], str]) -> None:
    files, ca = certificate
    plain = Hub({})
    login = {"user": "puller", "password": "s3cr3t"}
    _, origin = started({"ca": ca, **login}, certificate=files, realm=f"{plain.url(plain.tokens)}/token")
    assert origin.ask(PATH).status == 502
    assert "without TLS" in origin.log
    assert not plain.counts
    plain.close()


def test_a_proxy_of_the_environment_is_used(started: Started, certificate: tuple[tuple[str, str], str]) -> None:
    files, ca = certificate
    lines: list[bytes] = []
    proxy = socket.create_server(("127.0.0.1", 0))

    def tunnel() -> None:
        client, _ = proxy.accept()
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        lines.append(head.split(b"\r\n")[0])
        host, _, port = head.split()[1].decode().partition(":")
        beyond = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        pipes = [
            threading.Thread(target=_pipe, args=pair, daemon=True) for pair in ((client, beyond), (beyond, client))
        ]
        for each in pipes:
            each.start()

    threading.Thread(target=tunnel, daemon=True).start()
    environment = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.getsockname()[1]}", "NO_PROXY": "", "no_proxy": ""}
    hub, origin = started({"ca": ca}, environment, certificate=files, redirect=None, auth="none")
    assert origin.ask(PATH).body == BLOB
    port = hub.registry.server_address[1]
    assert [each.split()[:2] for each in lines] == [[b"CONNECT", f"127.0.0.1:{port}".encode()]]
    proxy.close()


def _pipe(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
    except OSError:
        pass
    finally:
        target.close()
