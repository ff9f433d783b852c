"""What doctor's steps name where a real server on loopback does one thing wrong, and that they name nothing else."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from doctor import http_client, trust, unread_authorities
from doctor.__main__ import AT_AN_ENDPOINT
from doctor.finding import Seen
from doctor.pull import Endpoint, Image, Pull, Server, Wanted
from doctor.steps import name as name_step
from doctor.steps import tls as tls_step
from doctor.walk import Walk, walked
from hostctl.host import Host
from tests.certificates import DAY, NOW, Signed, authority, intermediate, server
from tests.free_port import free_port
from tests.lab.doctor import bad_registry
from tests.lab.doctor.bad_registry import Handler

AUTHORITY = authority()
BETWEEN = intermediate(AUTHORITY)
GOOD = server("127.0.0.1", AUTHORITY)
CERTIFICATES = {
    "good": GOOD,
    "of a stranger": server("127.0.0.1", authority("A stranger")),
    "expired": server("127.0.0.1", AUTHORITY, starts=NOW - 9 * DAY, ends=NOW - DAY),
    "of tomorrow": server("127.0.0.1", AUTHORITY, starts=NOW + DAY),
    "of another": server("192.0.2.1", AUTHORITY),
    "without the one between": server("127.0.0.1", BETWEEN),
}
NOTHING = ""
SOMEBODY = ("puller", "a secret of a test")


@dataclass(frozen=True)
class Case:
    """What the server does and shows, how the endpoint is configured, and the cause that must be named."""

    cause: str
    does: str = "right"
    certificate: str = ""
    tls: str = ""
    scheme: str = ""
    image: bool = True
    runtime: str = "containerd"
    mirror: bool = False
    user: str = ""
    clock: float = 0
    endpoint: dict[str, Any] = field(default_factory=dict)


CASES = {
    "all right": Case(NOTHING),
    "all right over TLS": Case(NOTHING, certificate="good"),
    "docker too": Case(NOTHING, runtime="docker"),
    "hangs up": Case("connection-reset", "resets"),
    "hangs": Case("connection-timed-out", "hangs"),
    "a stranger's certificate": Case("tls-unknown-authority", certificate="of a stranger"),
    "a stranger's certificate, not verified": Case(NOTHING, certificate="of a stranger", endpoint={"verify": False}),
    "a chain with a hole": Case("tls-unknown-authority", certificate="without the one between"),
    "expired": Case("tls-expired", certificate="expired"),
    "not yet valid": Case("tls-expired", certificate="of tomorrow"),
    "not yet valid, by this host's clock alone": Case("clock-skew", certificate="of tomorrow", clock=2 * 86400),
    "another's name": Case("tls-wrong-name", certificate="of another"),
    "an old TLS": Case("tls-version", certificate="good", tls="1.1"),
    "HTTP where HTTPS is asked": Case("http-answer-to-https", scheme="https"),
    "HTTP where both will do": Case(NOTHING, scheme="https", endpoint={"plain_too": True}),
    "HTTPS where HTTP is asked": Case("https-answer-to-http", certificate="good", scheme="http"),
    "asks for a login": Case("login-missing", "login"),
    "asks a docker mirror for a login": Case("mirror-login-not-sent", "login", runtime="docker", mirror=True),
    "asks for a login, and none is wanted": Case(NOTHING, "login", image=False),
    "asks for a login that the settings have": Case("login-missing", "login", image=False, user="puller"),
    "refuses a login": Case("login-wrong", "login", endpoint={"login": SOMEBODY}),
    "refuses a header": Case("login-wrong", "login", endpoint={"authorization": "Basic eDp5"}),
    "a token server that is down": Case("token-server-unreachable", "token"),
    "refuses": Case("not-allowed", "denied"),
    "counts": Case("rate-limited", "too many"),
    "is down behind": Case("server-error", "down"),
    "no such repository": Case("repository-unknown", "no repository"),
    "no such tag": Case("manifest-unknown", "no manifest"),
    "a web page": Case("not-a-registry", "no registry"),
    "for another platform": Case("platform-missing", "other platform"),
    "a blob is gone": Case("blob-missing", "no blob"),
    "a blob is another": Case("blob-digest-mismatch", "other bytes"),
    "a blob is cut": Case("blob-cut-short", "cut short"),
    "a clock ahead": Case("clock-skew", clock=-120),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs here hangs for longer than anybody waits."""
    monkeypatch.setattr(http_client, "PATIENCE", 1.5)
    sleep = time.sleep
    monkeypatch.setattr(bad_registry, "time", SimpleNamespace(sleep=lambda _: sleep(2.0)))


class Joined(bad_registry.Server):
    """One whose last connection is closed before the next test."""

    daemon_threads = False


class Hasty(Joined):
    """One that says no word to who speaks HTTP where TLS is spoken."""

    def get_request(self) -> tuple[Any, Any]:
        """TLS goes on; other requests get their status."""
        connection, address = super().get_request()
        with socket.socket(fileno=os.dup(connection.fileno())) as plain:
            if plain.recv(1, socket.MSG_PEEK) == b"\x16":
                return connection, address
            plain.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        connection.close()
        raise OSError


@contextmanager
def serving(
    handler: Callable[..., Handler], certificate: Signed | None, tls: str, folder: Path, kind: type[Joined] = Joined
) -> Iterator[int]:
    """A registry on a port of 127.0.0.1."""
    running = kind(("127.0.0.1", 0), handler)
    if certificate:
        file = folder / "server.pem"
        file.write_text(certificate.pem + certificate.private)
        running.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        running.context.load_cert_chain(file)
        if tls:
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # that TLS is old
                running.context.minimum_version = ssl.TLSVersion.TLSv1
                running.context.maximum_version = ssl.TLSVersion.TLSv1_1
            running.context.set_ciphers("ALL:@SECLEVEL=0")
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield running.server_port
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


def realm() -> str:
    """A token server's at a port where nobody listens."""
    return f"http://127.0.0.1:{free_port()}/token"


def walk(port: int, case: Case, folder: Path, *, name: str = "127.0.0.1", servers: tuple[Server, ...] = ()) -> Walk:
    """A walk of that case."""
    scheme = case.scheme or ("https" if case.certificate else "http")
    url = f"{scheme}://{name}:{port}"
    trusted = folder / "authority.pem"
    trusted.write_text(AUTHORITY.pem)
    registry = "docker.io" if case.mirror else f"{name}:{port}"
    image = Image(registry, "team/app" if case.image else "", "1" if case.image else "")
    known = tuple(each._replace(url=url) for each in servers)
    pull = Pull(case.runtime, image, Wanted((url,), case.user, False, known))
    now = time.time()
    endpoint = replace(
        Endpoint(url, "the test", authorities=(str(trusted),), system_trust=False, login_said_by="a file"),
        **case.endpoint,
    )
    return Walk(Host(folder), pull, endpoint, now + case.clock, now)


def causes(seen: list[Seen]) -> str:
    """What was found; no step behind a break is taken."""
    assert all(not each.findings for each in seen[:-1])
    return seen[-1].findings[0].cause if seen[-1].findings else NOTHING


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_cause_and_no_other(case: Case, tmp_path: Path) -> None:
    certificate = CERTIFICATES[case.certificate] if case.certificate else None
    with serving(partial(Handler, case.does, realm()), certificate, case.tls, tmp_path) as port:
        seen = walked(walk(port, case, tmp_path), AT_AN_ENDPOINT)
    assert causes(seen) == case.cause, seen
    for secret in (SOMEBODY[1], "eDp5"):
        assert secret not in str(seen)
    if not case.cause and case.image:
        assert [each.step for each in seen] == ["name", "connection", "tls", "access", "content", "host"]
        assert "not read" not in seen[4].said


def test_a_server_that_speaks_tls_and_says_nothing_of_it(tmp_path: Path) -> None:
    case = CASES["HTTPS where HTTP is asked"]
    with serving(partial(Handler, case.does, realm()), GOOD, "", tmp_path, Hasty) as port:
        seen = walked(walk(port, case, tmp_path), AT_AN_ENDPOINT)
    assert causes(seen) == case.cause, seen


def test_nobody_listens(tmp_path: Path) -> None:
    assert causes(walked(walk(free_port(), Case(NOTHING), tmp_path), AT_AN_ENDPOINT)) == "connection-refused"


def test_a_name_that_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(name_step, "PATIENCE", 0.01)
    monkeypatch.setattr(name_step, "_addresses", lambda _: over.wait(30))
    asked = walk(1, Case(NOTHING), tmp_path, name="registry.invalid")
    try:
        assert causes(walked(asked, AT_AN_ENDPOINT)) == "host-name-unknown"
    finally:
        over.set()


@pytest.mark.parametrize(("does", "cause"), [("no manifest", "host-name-elsewhere"), ("right", NOTHING)])
def test_a_name_that_leads_elsewhere_is_told_where_something_breaks_there(
    does: str, cause: str, tmp_path: Path
) -> None:
    ours = (Server("", "registry", "192.0.2.1", "nginx"),)
    with serving(partial(Handler, does, realm()), None, "", tmp_path) as port:
        seen = walked(walk(port, Case(cause), tmp_path, name="localhost", servers=ours), AT_AN_ENDPOINT)
    assert causes(seen) == cause, seen
    if cause:
        values = seen[-1].findings[0].values
        assert (values["server"], values["server_address"]) == ("registry", "192.0.2.1")


class WithTokens(Handler):
    """A registry that takes a token, gives it to whoever has the login, and sends blobs' readers elsewhere."""

    elsewhere = 0
    seen: list[tuple[str, str | None]]

    def _answer(self) -> Any:
        self.seen.append((self.path, self.headers["Authorization"]))
        if self.path.startswith("/token"):
            assert "scope=repository%3Ateam%2Fapp%3Apull" in self.path
            assert self.headers["Authorization"].startswith("Basic ")
            return 200, {}, b'{"token": "t0k3n"}'
        if self.headers["Authorization"] != "Bearer t0k3n":
            challenge = f'Bearer realm="{self.realm}/token",service="registry, of a test"'
            return 401, {"WWW-Authenticate": challenge}, b"{}"
        if "/blobs/" in self.path:
            return 307, {"Location": f"http://127.0.0.1:{self.elsewhere}{self.path}"}, b""
        return super()._answer()


def test_a_token_is_fetched_and_stays_with_the_registry(tmp_path: Path) -> None:
    requests: list[tuple[str, str | None]] = []
    with serving(partial(Handler, "right", ""), None, "", tmp_path) as store:
        WithTokens.seen, WithTokens.elsewhere = requests, store

        def made(*arguments: Any) -> Handler:
            return WithTokens("right", f"http://127.0.0.1:{arguments[-1].server_port}", *arguments)

        with serving(made, None, "", tmp_path) as port:
            seen = walked(walk(port, Case(NOTHING, endpoint={"login": SOMEBODY}), tmp_path), AT_AN_ENDPOINT)
    assert causes(seen) == NOTHING, seen
    assert len([path for path, _ in requests if path.startswith("/token")]) == 1


@pytest.mark.parametrize(("since", "cause"), [(0, "tls-authority-not-read"), (float("inf"), NOTHING)])
def test_an_authority_that_is_newer_than_the_runtime_is_none_for_it(
    since: float, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "usr/local/share/ca-certificates"
    store.mkdir(parents=True)
    (store / "ours.crt").write_text(AUTHORITY.pem)
    (store / "other.crt").write_text(authority("Another").pem)
    monkeypatch.setattr(trust, "system_bundle", lambda: str(store / "ours.crt"))
    monkeypatch.setattr(tls_step, "unread", lambda host, _: unread_authorities.newer(host, since))
    (tmp_path / "nobody.pem").write_text(authority("Nobody").pem)
    case = Case(cause, endpoint={"system_trust": True, "authorities": (str(tmp_path / "nobody.pem"),)})
    with serving(partial(Handler, "right", ""), GOOD, "", tmp_path) as port:
        seen = walked(walk(port, replace(case, certificate="good"), tmp_path), AT_AN_ENDPOINT)
    assert causes(seen) == cause, seen
    if cause:
        assert seen[-1].findings[0].where == str(store / "ours.crt")
