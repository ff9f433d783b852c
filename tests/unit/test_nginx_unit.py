"""Decides what hostctl's nginx-proxy reads and writes before nginx itself is asked: passwords, includes, ports.

Applying it to a real host is decided in tests/lab.
"""

from __future__ import annotations

import os
import resource
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hostctl import bcrypt_hash, htpasswd, nginx_conf, nginx_service
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.host import Finished, Host
from hostctl.listeners import listeners
from hostctl.nginx_build import reads_in_threads
from hostctl.nginx_conf import DROP_IN, OPEN_FILES, OPENSSL_CONF, PULLERS_BEFORE, SITE
from hostctl.nginx_probe import ErrorLog, has_ipv6, probes_for
from hostctl.nginx_trial import refuse_bad_configuration
from hostctl.unit import Change
from hostctl.units.nginx_proxy import NginxProxy, _withdrawn

BUILD = "--with-http_auth_request_module --with-http_slice_module --with-http_ssl_module"
MAIN = """
user "www-data" adm; # user nobody;
events { worker_connections 768; }
http {
    log_format x 'a;{b}"$c"';
    server { include conf.d/*.conf; }
    include /etc/nginx/mime.types;
    include conf.d/*.conf; include sites-enabled/*;
}
stream { include /etc/nginx/conf.d/*.conf; }
"""


def users(*passwords: str) -> list[htpasswd.User]:
    return htpasswd.users_of(
        {"users": [{"name": f"u{n}", "role": "pull", "password": each} for n, each in enumerate(passwords)]}
    )


def test_a_hash_stays_as_long_as_password_and_cost_do() -> None:
    first = htpasswd.hashes_for(users("a", "b"), {}, 4)
    assert htpasswd.hashes_for(users("a", "b"), first, 4) == first
    changed = htpasswd.hashes_for(users("a", "c"), first, 4)
    assert (changed["u0"] == first["u0"], changed["u1"] == first["u1"]) == (True, False)
    dearer = htpasswd.hashes_for(users("a"), first, 5)["u0"]
    assert (bcrypt_hash.cost_of(dearer), bcrypt_hash.verifies("a", dearer)) == (5, True)


@pytest.mark.parametrize("found", ["", "plain", "$apr1$x$y", "{SHA}x", "$2y$04$short", "$2y$04$" + "." * 53])
def test_a_line_that_does_not_fit_is_written_anew(found: str) -> None:
    made = htpasswd.hashes_for(users("geheim-é"), {"u0": found}, 4)["u0"]
    assert made.startswith("$2y$04$")
    assert bcrypt_hash.verifies("geheim-é", made)
    assert not bcrypt_hash.verifies("geheim-e", made)


def test_a_replaced_password_is_known_until_it_is_settled(tmp_path: Path) -> None:
    """Only of users that are named; a change of something else does not end it, a wish that names nobody does."""
    host = Host(tmp_path)
    live: dict[str, FileState | None] = {}
    ended: list[bool] = []

    def applied(passwords: dict[str, str], before: list[str]) -> dict[str, set[str]]:
        named = [{"name": each, "role": "push", "password": password} for each, password in passwords.items()]
        wish = {"users": named, "bcrypt_cost": 4, "passwords_before": before}
        found = {}
        made = NginxProxy()._password_files(host, wish, os.getgid())
        after: dict[str, FileState | None] = {each.path: each.state for each in made}
        ended.append(_withdrawn(Change({**live}, after, wish)))
        live.update(after)
        for each in made:
            path = host.path(each.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(each.state.content)
            hashes = htpasswd.hashes_in(each.state.content)
            tried = {(user, word) for user in hashes for word in ("one", "two", "three")}
            found[path.name] = {f"{user} {word}" for user, word in tried if bcrypt_hash.verifies(word, hashes[user])}
        return found

    applied({"ann": "one", "bob": "one"}, ["ann"])
    changed = applied({"ann": "two", "bob": "two"}, ["ann"])
    assert changed["pull.htpasswd"] == changed["push.htpasswd"] == {"ann two", "bob two"}
    assert changed["pull-before.htpasswd"] == changed["push-before.htpasswd"] == {"ann one"}
    assert applied({"ann": "two", "bob": "three"}, ["ann"])["pull-before.htpasswd"] == {"ann one"}
    assert applied({"ann": "two", "bob": "three"}, [])["push-before.htpasswd"] == set()
    assert applied({"ann": "two", "bob": "three"}, ["ann"])["pull-before.htpasswd"] == set()
    assert ended == [False, False, False, True, False]


@pytest.mark.parametrize(("overlap", "waited"), [(7, [7]), (None, [])])
def test_a_password_is_withdrawn_once_its_pulls_had_their_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overlap: int | None, waited: list[int]
) -> None:
    slept: list[int] = []
    monkeypatch.setattr("hostctl.units.nginx_proxy.time.sleep", slept.append)
    monkeypatch.setattr(Host, "has", lambda *_: False)  # no nginx to ask
    taken, empty = FileState(htpasswd.text(users("a"), {"u0": "h0"})), FileState(htpasswd.text([], {}))
    wish = {"password_overlap_seconds": overlap}
    for before, after in ((taken, empty), (taken, taken), (empty, taken), (empty, empty)):
        NginxProxy().check(Host(tmp_path), Change({PULLERS_BEFORE: before}, {PULLERS_BEFORE: after}, wish), {})
    assert slept == waited


def test_a_file_is_read_as_nginx_reads_it() -> None:
    text = htpasswd.text(users("a", "b"), {"u0": "h0", "u1": "h1"})
    assert text.startswith(b"# ")
    assert htpasswd.hashes_in(text + b"\n#u2:x\nnocolon\nu1:later\n") == {"u0": "h0", "u1": "h1"}


@pytest.mark.parametrize(
    "user",
    [
        {"name": "a:b", "role": "pull", "password": "s3cret"},
        {"name": "a\nb", "role": "pull", "password": "s3cret"},
        {"name": "u0", "role": "pull", "password": "s3cret"},
        {"name": "x", "role": "admin", "password": "s3cret"},
        {"name": "x", "role": "pull", "password": "s3cret" + "x" * 67},
        {"name": "x", "role": "pull", "password": "s3cret\0"},
        {"name": "x", "role": "pull", "password": ""},
        {"name": "x", "role": "pull"},
    ],
)
def test_a_user_that_can_not_be_is_refused_and_the_password_not_told(user: dict[str, Any]) -> None:
    known = {"name": "u0", "role": "pull", "password": "a"}
    with pytest.raises(HostError, match="wish, users") as refusal:
        htpasswd.users_of({"users": [known, user]})
    assert "s3cret" not in str(refusal.value)


def test_the_include_of_the_http_block_is_found() -> None:
    found = nginx_conf.include_of(MAIN, nginx_conf.SITE)
    assert found is not None
    assert MAIN[found.start : found.end] == "include conf.d/*.conf;"
    assert MAIN[: found.start].count("include") == 2
    assert nginx_conf.pattern(found) == "/etc/nginx/conf.d/*.conf"
    assert (
        nginx_conf.include_of(MAIN.replace("conf.d/*.conf; include", "other/*.conf; include"), nginx_conf.SITE) is None
    )


def test_the_workers_user_is_found() -> None:
    assert nginx_conf.first(MAIN, "user") == ("www-data", "adm")
    assert nginx_conf.first(MAIN, "worker_connections") == ()
    assert nginx_conf.first("}}} user 'x\\'y' \\", "user") == ()


def test_who_listens_on_a_port_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert [each.pid for each in listeners(port)] == [os.getpid()]
        assert [each.parent for each in listeners(port)] == [os.getppid()]
    assert listeners(port) == []


@pytest.mark.parametrize(
    ("build", "missing"),
    [
        ("--with-http_slice_module --with-http_ssl_module", "auth_request"),
        (f"{BUILD} --without-http_geo_module", "geo"),
        (f"{BUILD} --without-http-cache", "cache"),
        (BUILD, None),
    ],
)
def test_an_nginx_without_what_the_site_needs_is_refused(
    build: str, missing: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nginx").write_text(f"#!/bin/sh\necho 'configure arguments: {build}' >&2\n")
    (tmp_path / "nginx").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    said = f"was built without {missing}" if missing else "nginx.conf: there is none"
    with pytest.raises(HostError, match=said):
        NginxProxy().preflight(Host(tmp_path), {})


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("registry.example.org", ["127.0.0.1", "::1"]),
        ("198.51.100.1", ["127.0.0.1", "::1"]),
        ("[2001:db8::1]", ["127.0.0.1", "::1"]),
        ("127.0.0.1", ["127.0.0.1"]),
        pytest.param("[::1]", ["::1"], marks=pytest.mark.skipif(not has_ipv6(), reason="this kernel has no IPv6")),
    ],
)
def test_a_site_is_asked_at_its_own_address_where_the_host_has_it(host: str, asked: list[str]) -> None:
    assert [(each.port, each.host, each.address) for each in probes_for(80, host, True)] == [
        (80, host, each) for each in asked
    ]
    assert [each.address for each in probes_for(80, "registry.example.org", False)] == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("version", "threads", "able"),
    [("1.22.1", True, False), ("1.25.3", True, False), ("1.25.4", True, True), ("1.26.0", False, False)],
)
def test_files_are_read_in_threads_where_a_reload_waits_for_them(version: str, threads: bool, able: bool) -> None:
    build = f"nginx version: nginx/{version} (Debian)\nconfigure arguments: {'--with-threads' if threads else ''}"
    assert reads_in_threads(build) is able


@pytest.mark.parametrize(
    ("before", "after", "anew"),
    [
        ((), (), False),
        (("MODULE_PATH = a",), ("MODULE_PATH = a",), False),
        (("MODULE_PATH = a",), ("MODULE_PATH = b",), True),
        ((), ("MODULE_PATH = a",), True),
        (("MODULE_PATH = a",), (), True),
    ],
)
def test_a_token_that_openssl_does_not_know_yet_needs_a_restart(
    before: tuple[str, ...], after: tuple[str, ...], anew: bool
) -> None:
    def files(conf: tuple[str, ...]) -> dict[str, FileState | None]:
        lines = [f"Environment=OPENSSL_CONF={OPENSSL_CONF}"] if conf else []
        drop_in = nginx_service.drop_in(33, lines)
        return {DROP_IN: drop_in.state, OPENSSL_CONF: FileState(conf[0].encode()) if conf else None}

    assert nginx_service.needs_restart(Change(files(before), files(after))) is anew


@pytest.mark.parametrize(
    ("line", "many"),
    [("", True), ("worker_rlimit_nofile 1024;", False), ("worker_rlimit_nofile 20000;", True)],
)
def test_files_are_kept_open_where_nothing_else_is_said(line: str, many: bool) -> None:
    assert nginx_service.may_open_many(Host(), f"user www-data;\n{line}\nevents {{}}\n") is many


def test_an_nginx_that_runs_already_is_allowed_as_many_files_as_one_that_is_started() -> None:
    with subprocess.Popen(["sleep", "30"]) as running:
        resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (99, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        nginx_service.allow_open_files(running.pid)
        soft, _ = resource.prlimit(running.pid, resource.RLIMIT_NOFILE)
        running.kill()
    assert soft == OPEN_FILES


def test_a_trial_finds_the_token_as_the_service_will(tmp_path: Path) -> None:
    """OPENSSL_CONF names the candidate, beside which no live one may be yet."""
    asked: list[tuple[str, ...]] = []

    class Watched(Host):
        def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
            conf = next((each.partition("=")[2] for each in command if each.startswith("OPENSSL_CONF=")), "")
            asked.append((command[0], Path(conf).read_text() if conf else ""))
            return Finished(0, "")

    (tmp_path / "etc/nginx").mkdir(parents=True)
    (tmp_path / "etc/nginx/nginx.conf").write_text(MAIN)
    conf = FileState(b"init = 1")
    drop_in = nginx_service.drop_in(33, [f"Environment=OPENSSL_CONF={OPENSSL_CONF}"]).state
    change = Change({}, {SITE: FileState(b""), OPENSSL_CONF: conf, DROP_IN: drop_in}, facts={"probes": []})
    refuse_bad_configuration(Watched(tmp_path), change, {})
    refuse_bad_configuration(Watched(tmp_path), Change(change.after, dict.fromkeys(change.after)), {})
    assert asked == [("env", "init = 1"), ("nginx", "")]
    assert [each.name for each in (tmp_path / "etc/nginx").iterdir()] == ["nginx.conf"]


def test_of_what_nginx_says_the_reason_is_told(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    path.write_text("[emerg] of before\n")
    log = ErrorLog(path, path.stat().st_size)
    assert log.since() == ""
    for line, said in (
        ("[crit] SSL_do_handshake() failed (bad key share)", ""),
        ("[crit] SSL_do_handshake() failed (PKCS#11 module::Object handle invalid)", "let its workers read the token"),
        ("[emerg] bind() failed", "nginx says: [emerg] bind() failed"),
    ):
        path.write_text(f"{path.read_text()}{line}\n")
        assert said in log.since()
        assert bool(said) == bool(log.since())


def test_only_sockets_where_nobody_listens_are_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nginx_service, "RUN", "/run")
    (tmp_path / "run" / "kept").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "run" / "dead.sock"))
        dead.listen(0)
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(tmp_path / "run" / "live.sock"))
        live.listen(0)
        for _ in range(3):  # its queue is full after the first
            nginx_service.remove_dead_sockets(Host(tmp_path))
        assert sorted(each.name for each in (tmp_path / "run").iterdir()) == ["kept", "live.sock"]
