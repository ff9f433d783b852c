"""Decides what doctor says of a server's files: real nginx reads them, real accounts, and real file systems."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from doctor.server import nginx, passwords, storage
from hostctl import bcrypt_hash
from hostctl.host import Finished, Host
from hostctl.nginx_conf import MAIN, OURS, PASSWORD_FILES, PULLERS, PUSHERS, SITE
from tests.programs.nginx import nginx as program

ENDPOINT = {"registry": "hosted", "name": "r.test", "port": 80, "nginx": True, "passwords": True, "certificate": ""}
SERVED: dict[str, Any] = {
    "endpoints": [ENDPOINT], "containers": [], "caches": [], "stores": [], "clients": [],
    "folders": ["/var/cache/nginx/http-registry"],
}  # fmt: skip
USER = "nobody"
OTHERS = "/etc/nginx/conf.d/other.conf"


class Server(Host):
    """A host whose files are below a folder; its nginx is this machine's, which reads them there."""

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        if command[-1] == "-t":
            command = (*command[:-2], program(), "-t", "-c", str(self.path(MAIN)))
        done = super().run(*(program() if each == "nginx" else each for each in command), stdin=stdin, timeout=timeout)
        return Finished(done.status, done.output.replace(str(self.root), ""))


@pytest.fixture
def server() -> Iterator[Server]:
    with TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        root.chmod(0o755)
        host = Server(root)
        for name in (SITE, *PASSWORD_FILES, "/var/cache/nginx/http-registry/x", "/etc/nginx/sites-enabled/x"):
            host.path(name).parent.mkdir(parents=True, exist_ok=True)
        here = f"error_log {root}/error.log; pid {root}/pid;"
        includes = f"include {root}/etc/nginx/conf.d/*.conf; include {root}/etc/nginx/sites-enabled/*;"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        includes += "".join(f"{kind}_temp_path {root}/{kind}; " for kind in kinds)
        host.path(MAIN).write_text(
            f"user {USER} nogroup;\n{here}\nevents {{}}\nhttp {{ access_log off; {includes} }}\n"
        )
        host.path(SITE).write_text(f"server {{ listen 127.0.0.1:1; root {root}{OURS}; }}\n")
        for name in PASSWORD_FILES:
            host.path(name).write_text(f"# ours\nanna:{bcrypt_hash.make('secret', 4)}\n")
            host.path(name).chmod(0o644)
        yield host


BROKEN = {
    "the stack's site": (SITE, "nonsense;\n", f"{SITE}:2", ""),
    "a file of the stack's": (SITE, "include $ours/gone.conf;\n", f"{SITE}:2", ""),
    "another's site": (OTHERS, "server { listen 81; nonsense on; }\n", f"{OTHERS}:1", f"mv {OTHERS} /root/"),
    "the main file": (MAIN, "nonsense;\n", f"{MAIN}:5", "nginx -t"),
}


@pytest.mark.parametrize(("file", "text", "where", "mend"), BROKEN.values(), ids=BROKEN)
def test_a_configuration_that_nginx_refuses(server: Server, file: str, text: str, where: str, mend: str) -> None:
    assert nginx._config(server, SERVED) is None
    with server.path(file).open("a") as added:
        added.write(text.replace("$ours", str(server.path(OURS))))
    found = nginx._config(server, SERVED)
    assert found is not None
    assert (found.cause, found.where) == (f"nginx-{'other-' if mend else ''}config-broken", where)
    assert found.values.get("mend", "").split(";")[0] == mend


def test_nothing_of_a_test_is_left(server: Server) -> None:
    before = sorted(Path("/run").iterdir())
    nginx._config(server, SERVED)
    assert sorted(Path("/run").iterdir()) == before


def test_passwords_that_are_as_they_should_be(server: Server) -> None:
    assert list(passwords.look(server, SERVED)) == []
    assert list(passwords.look(server, {**SERVED, "endpoints": [{**ENDPOINT, "passwords": False}]})) == []


UNREADABLE = {"the file": (PUSHERS, 0o600), "its folder": (OURS, 0o700), "one above": ("/etc", 0o750)}


@pytest.mark.parametrize(("path", "mode"), UNREADABLE.values(), ids=UNREADABLE)
def test_passwords_that_the_workers_can_not_read(server: Server, path: str, mode: int) -> None:
    server.path(path).chmod(mode)
    (found,) = passwords.look(server, SERVED)
    assert (found.cause, found.values["user"]) == ("htpasswd-unreadable", USER)
    assert found.where == (path if path == PUSHERS else PULLERS)
    assert f"{path}: mode {mode:04o}" in found.evidence
    server.must("sh", "-c", found.values["mend"])
    assert list(passwords.look(server, SERVED)) == []


def test_a_password_file_that_is_gone(server: Server) -> None:
    server.path(PULLERS).unlink()
    assert [(each.cause, each.where) for each in passwords.look(server, SERVED)] == [("htpasswd-missing", PULLERS)]


HASHES = {
    "apr1": ("$apr1$aaaaaaaa$bbbbbbbbbbbbbbbbbbbbbb", "begins with $apr1$"),
    "sha1": ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "begins with {SHA}"),
    "in clear": ("very-secret", "has no known form"),
    "cut short": ("$2y$04$abc", "begins with $2y$"),
}


@pytest.mark.parametrize(("hashed", "said"), HASHES.values(), ids=HASHES)
def test_a_hash_that_is_no_bcrypt(server: Server, hashed: str, said: str) -> None:
    with server.path(PULLERS).open("a") as file:
        file.write(f"puller:{hashed}\n")
    (found,) = passwords.look(server, SERVED)
    assert (found.cause, found.values["users"]) == ("htpasswd-not-bcrypt", "puller")
    assert found.evidence == f"{PULLERS}: that of puller {said}"
    assert hashed not in str(found)


@pytest.fixture
def mounted(server: Server) -> Iterator[Path]:
    """A file system of its own below the cache's folder."""
    folder = server.path("/var/cache/nginx/http-registry/hub-5080")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_room_on_a_disk(server: Server, mounted: Path) -> None:
    assert list(storage.look(server, SERVED)) == []
    (mounted / "much").write_bytes(bytes(20 << 20))
    (found,) = storage.look(server, SERVED)
    assert (found.cause, found.where) == ("server-disk-full", str(mounted))
    assert found.evidence == f"{mounted}: 60 MiB of 80 MiB left"


def test_a_disk_that_is_read_only(server: Server, mounted: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    (found,) = storage.look(server, SERVED)
    assert (found.cause, found.values["mount"], found.values["endpoints"]) == ("read-only", str(mounted), "r.test:80")
