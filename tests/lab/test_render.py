"""Decides that `make render` writes, file by file, what `up` has written on each host of the lab's stack.

A host is described by what it says of itself. Its image's own files are those that hostctl has found there before us.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hostctl import bcrypt_hash, htpasswd
from hostctl.nginx_conf import PASSWORD_FILES, PASSWORDS_CONF
from ops.checkpoint import PROJECT_NAME
from ops.configuration import tier_of
from ops.render import requests
from ops.render_files import RECORDS, Placed, Rendered, render
from ops.render_machine import machine
from ops.stack import LAB, Stack
from tests.lab.hosts import must

pytestmark = pytest.mark.lab

HOSTS = [each.name for each in tier_of(LAB).hosts]
THERE = """
import base64, glob, grp, json, os, pwd
def file(path):
    real = os.path.expanduser(path)
    status = os.stat(real)
    owner = [pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name]
    content = base64.b64encode(open(real, "rb").read()).decode()
    return {"path": real, "content": content, "mode": status.st_mode & 0o7777, "owner": owner}
records = {path: json.load(open(path)) for path in glob.glob("/var/lib/http-registry/units/*.json")}
print(json.dumps({
    "records": records,
    "files": [file(path) for record in records.values() for path in record["files"]],
    "own": [file(path) for path in ("/etc/passwd", "/etc/group", "/etc/nginx/nginx.conf") if os.path.exists(path)],
}))
"""
DESCRIBED = """
version() { "$@" 2>/dev/null | grep -oE '[0-9]+\\.[0-9]+\\.[0-9]+(-dev)?' | head -n 1; }
echo docker=$(version dockerd --version)
echo containerd=$(version containerd --version)
echo nginx=$(nginx -v 2>&1 | grep -oE '[0-9]+\\.[0-9]+\\.[0-9]+')
docker info 2>/dev/null | grep -q io.containerd.snapshotter && echo store=containerd || echo store=graph
test -e /proc/net/if_inet6 && echo ipv6=yes || echo ipv6=no
prlimit --nofile=16384 true 2>/dev/null && echo open_files=yes || echo open_files=no
grep -sqw tls /proc/sys/net/ipv4/tcp_available_ulp && echo ktls=yes || echo ktls=no
"""
LINKS = "find /etc/systemd/system -type l -lname '*http-registry*' -printf '%p %l\\n'"
NOT_ON_DISK = f"{RECORDS}/docker-image.json"


@pytest.fixture(scope="module")
def asked(stack: Stack) -> list[dict[str, Any]]:
    """What the program asks of the hosts."""
    found: list[dict[str, Any]] = requests(stack)["requests"]
    return found


def written(there: Mapping[str, Any], base: Path) -> None:
    """The image's own files, as they were before us."""
    for each in there["own"]:
        _put(base / each["path"][1:], each)
    for record in there["records"].values():
        for path, owned in record["files"].items():
            if owned["before"]:
                _put(base / path.replace("~root", "root").lstrip("/"), owned["before"])


def _put(path: Path, file: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b64decode(file["content"]))
    path.chmod(file["mode"])


@pytest.mark.parametrize("name", HOSTS)
def test_the_tree_of_a_host_is_what_up_has_written_there(
    name: str, asked: list[dict[str, Any]], tmp_path: Path
) -> None:
    there = json.loads(must(name, "python3 -", THERE))
    base, work = tmp_path / "base", tmp_path / "work"
    (base / "etc/ca-certificates").mkdir(parents=True)
    work.mkdir()
    written(there, base)
    said = ",".join(line for line in must(name, DESCRIBED).split() if not line.endswith("="))
    own = [each for each in asked if each["owner"] == f"{PROJECT_NAME}/{LAB}/{name}"]
    made = render(own, machine(said), work, base)
    files = {each.path: each for each in made.files}
    on_host = {each["path"]: each for each in there["files"]}
    assert files.keys() == on_host.keys() | there["records"].keys() - {NOT_ON_DISK}
    for path, each in on_host.items():
        assert (files[path].mode, [files[path].owner, files[path].group]) == (each["mode"], each["owner"]), path
    same = {path for path, each in on_host.items() if files[path].content == b64decode(each["content"])}
    assert on_host.keys() - same == {path for path in (*PASSWORD_FILES, PASSWORDS_CONF) if _salted(files, path)}
    assert dict(made.links) == dict(line.split() for line in must(name, LINKS).splitlines())
    for path, record in there["records"].items():
        if path != NOT_ON_DISK:
            assert_alike(json.loads(files[path].content), record)


def _salted(files: Mapping[str, Placed], path: str) -> bool:
    """Whether a file has a hash with a salt in it, or a digest of one."""
    return path in files and (path == PASSWORDS_CONF or bool(htpasswd.hashes_in(files[path].content)))


def assert_alike(rendered: dict[str, Any], record: dict[str, Any]) -> None:
    """The records say the same, save for what each call has of its own."""
    assert rendered["owner"] == record["owner"]
    assert sorted(rendered["files"]) == sorted(record["files"])
    for path, owned in record["files"].items():
        mine = rendered["files"][path]
        assert {key: mine[key] for key in ("before", "ours", "rights")} == {
            key: owned[key] for key in ("before", "ours", "rights")
        }, path
    moments = ("since", "boot")
    assert {key: each for key, each in rendered["facts"].items() if key not in moments} == {
        key: each for key, each in record["facts"].items() if key not in moments
    }


def test_hashes_are_of_the_same_passwords(stack: Stack, asked: list[dict[str, Any]], tmp_path: Path) -> None:
    tier = tier_of(LAB)
    assert tier.proxy
    there = json.loads(must(tier.proxy.host, "python3 -", THERE))
    on_host = {each["path"]: b64decode(each["content"]) for each in there["files"]}
    made: Rendered = render(
        [each for each in asked if each["owner"].endswith(f"/{tier.proxy.host}")], machine(""), tmp_path
    )
    rendered = {each.path: each.content for each in made.files}
    secrets = stack.secrets()
    for path in PASSWORD_FILES:
        mine, theirs = (htpasswd.hashes_in(each[path]) for each in (rendered, on_host))
        assert mine.keys() == theirs.keys(), path
        for user in mine:
            password = secrets[f"password-{user}"]
            assert bcrypt_hash.verifies(password, mine[user])
            assert bcrypt_hash.verifies(password, theirs[user])
    for texts in (rendered, on_host):
        digest = hashlib.sha256(b"".join(texts[path] for path in PASSWORD_FILES)).hexdigest()[:32]
        assert digest.encode() in texts[PASSWORDS_CONF]
