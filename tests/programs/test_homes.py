"""Decides: what root does in the home of an account, it does with that account's rights.

The attacks are those of an account's owner, who may put links and pipes where root is about to read or write.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.transaction import Transactions
from hostctl.units.docker_cli import DockerCli
from tests.unit.hostctl_app import at

NAME = "~deploy/.docker/config.json"
UID, OTHER, GID = 54321, 54322, 54300
WISH = {"users": [{"user": "deploy", "auths": {"r.example": {"user": "me", "password": "hidden-word"}}}]}
SHADOW = b"root:$y$hash:1::::::\n"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host that others can walk through, with root's /etc/shadow and the homes of deploy and of somebody else."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    for folder, owner in (("etc", 0), ("tmp", 0), ("var/lib", 0), ("home/deploy", UID), ("home/other", OTHER)):
        (root / folder).mkdir(parents=True)
        os.chown(root / folder, owner, GID if owner else 0)
    (root / "tmp").chmod(0o1777)
    (root / "etc/shadow").write_bytes(SHADOW)
    (root / "etc/shadow").chmod(0o600)
    entry = pwd.struct_passwd(("deploy", "x", UID, GID, "", "/home/deploy", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _: entry)
    yield Host(root)
    shutil.rmtree(root)


def home(host: Host) -> Path:
    return host.root / "home/deploy"


def own(path: Path, content: bytes | None = None, owner: int = UID) -> Path:
    """A folder, or a file, of the account."""
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    os.chown(path, owner, GID)
    return path


def about(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


def apply(host: Host, **steps: Any) -> dict[str, Any]:
    ((step, action),) = steps.items() if steps else (("", lambda: None),)
    return Transactions(host, at(step, action)).apply(DockerCli(), WISH)


def test_folder_and_file_are_the_account_s_and_private(host: Host) -> None:
    apply(host)
    assert about(home(host) / ".docker") == (UID, GID, 0o700)
    assert about(home(host) / ".docker/config.json") == (UID, GID, 0o600)
    assert (os.geteuid(), os.getegid(), os.umask(0o022)) == (0, 0, 0o022)
    Transactions(host).remove(DockerCli())
    assert list(home(host).iterdir()) == []


def test_root_s_rights_are_back_after_an_error(host: Host) -> None:
    own(home(host) / ".docker").chmod(0o500)
    with pytest.raises(HostError, match="Permission denied"):
        apply(host)
    assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, 0, os.getgroups())
    assert about(home(host) / ".docker") == (UID, GID, 0o500)


@pytest.mark.parametrize("owner", [0, OTHER])
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_is_not_the_account_s_own_is_refused(host: Host, owner: int, what: str) -> None:
    folder = own(home(host) / ".docker")
    file = own(folder / "config.json", b"{}", owner)
    if what == "folder":
        os.chown(folder, owner, GID)
        os.chown(file, UID, GID)
    with pytest.raises(HostError, match=r"is not deploy's own; 'chown deploy: .*\.docker"):
        apply(host)
    assert file.read_bytes() == b"{}"


def test_a_group_that_could_not_be_given_back_is_refused(host: Host) -> None:
    own(home(host) / ".docker")
    os.chown(own(home(host) / ".docker/config.json", b"{}"), UID, 0)
    with pytest.raises(HostError, match="has a group that deploy is not in; 'chgrp 54300 "):
        apply(host)


def test_a_home_where_the_account_cannot_write_is_refused_with_the_remedy(host: Host) -> None:
    os.chown(home(host), 0, 0)
    with pytest.raises(HostError, match=r"install -d -m 700 -o deploy .*/home/deploy/\.docker"):
        apply(host)
    own(home(host) / ".docker")
    assert apply(host)["result"] == "changed"


@pytest.mark.parametrize("link", [".docker", ".docker/config.json"])
@pytest.mark.parametrize("target", ["etc", "etc/shadow", "home/other"])
def test_a_link_out_of_the_home_is_refused(host: Host, link: str, target: str) -> None:
    if "/" in link:
        own(home(host) / ".docker")
    (home(host) / link).symlink_to(host.root / target)
    before = everything_else(host)
    with pytest.raises(HostError) as refused:
        apply(host)
    assert "$y$" not in str(refused.value)
    assert everything_else(host) == before


@pytest.mark.parametrize("step", ["journal", "write", "check", "swap", "activate", "verify"])
@pytest.mark.parametrize("target", ["etc", "home/other"])
def test_a_folder_that_becomes_a_link_on_the_way_leads_root_nowhere(host: Host, step: str, target: str) -> None:
    own(home(host) / ".docker")
    own(home(host) / ".docker/config.json", b"{}")
    for name in ("config.json", ".config.json.http-registry-new"):
        (host.root / target / name).write_bytes(b"theirs")
    before = everything_else(host)

    def attack() -> None:
        (home(host) / ".docker").rename(home(host) / "aside")
        (home(host) / ".docker").symlink_to(host.root / target)

    with pytest.raises(HostError) as failed:
        apply(host, **{step: attack})
    assert "theirs" not in str(failed.value)
    assert everything_else(host) == before


@pytest.mark.parametrize("step", ["journal", "write", "swap", "verify"])
def test_a_file_that_becomes_a_link_on_the_way_is_not_read_by_root(host: Host, step: str) -> None:
    own(home(host) / ".docker")
    file = own(home(host) / ".docker/config.json", b"{}")
    before = everything_else(host)

    def attack() -> None:
        file.unlink()
        file.symlink_to(host.root / "etc/shadow")

    with pytest.raises(HostError):
        apply(host, **{step: attack})
    assert everything_else(host) == before
    assert not [each for each in (host.root / "var/lib").rglob("*.json") if b"$y$" in each.read_bytes()]


def test_a_pipe_on_the_way_keeps_nobody_waiting(host: Host) -> None:
    own(home(host) / ".docker")

    def attack() -> None:
        os.mkfifo(home(host) / ".docker/config.json")

    with pytest.raises(HostError, match="is not a file"):
        apply(host, check=attack)


def test_a_folder_that_is_a_link_when_it_is_removed_takes_no_other_along(host: Host) -> None:
    apply(host)
    (host.root / "etc/empty").mkdir()
    shutil.rmtree(home(host) / ".docker")
    (home(host) / ".docker").symlink_to(host.root / "etc/empty")
    Transactions(host).remove(DockerCli())
    assert (host.root / "etc/empty").is_dir()


def test_docker_is_run_with_nothing_of_root_s(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config.json can name programs that docker starts."""
    fake = host.root / "docker"
    fake.write_text(
        f"#!/bin/sh\ncat /proc/self/status > {host.root}/tmp/status; cat $2/config.json > {host.root}/tmp/it"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{host.root}:{os.environ['PATH']}")
    own(home(host) / "fake", b"")
    monkeypatch.setattr(
        "hostctl.homes.Account.prefix", ("setpriv", f"--reuid={UID}", f"--regid={GID}", "--clear-groups")
    )
    apply(host)
    status = dict(line.split(":\t", 1) for line in (host.root / "tmp/status").read_text().splitlines())
    assert status["Uid"].split() == [str(UID)] * 4
    assert status["Gid"].split() == [str(GID)] * 4
    assert int(status["CapEff"], 16) == 0
    assert "r.example" in json.loads((host.root / "tmp/it").read_text())["auths"]


def everything_else(host: Host) -> dict[str, Any]:
    """All files that are not the account's and not hostctl's own."""
    return {
        str(path): (path.read_bytes() if path.is_file() else None, about(path))
        for folder in ("etc", "home/other", "tmp")
        for path in sorted((host.root / folder).rglob("*"))
    }
