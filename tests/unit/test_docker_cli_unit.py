"""Decides: whose file is written and with which mode, what is refused beforehand, and that all comes back.

The accounts are invented and their homes empty folders, so everybody here is who runs the tests; what root does in
the home of somebody else is decided in tests/programs/test_homes.py, what docker does in tests/lab.
"""

from __future__ import annotations

import json
import os
import pwd
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from documents import docker_cli
from hostctl.drift import drift
from hostctl.errors import HostError
from hostctl.host import Finished, Host
from hostctl.transaction import Transactions
from hostctl.units.docker_cli import DockerCli
from settings.runtimes import CommandLine, Login
from tests.unit.hostctl_app import at, die, in_child

NAME, SERVER, PASSWORD = "~deploy/.docker/config.json", "192.168.1.11", "s3cret-word"
FOREIGN = b'{\n\t"auths": {\n\t\t"a.example": {}\n\t}\n}'


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host with the accounts deploy and ci, the helper lab, and no docker."""
    homes = {"deploy": "/home/deploy", "ci": "/home/ci", "twin": "/home/ci", "nobody": "/nonexistent"}

    def getpwnam(name: str) -> pwd.struct_passwd:
        if name not in homes:
            raise KeyError(name)
        return pwd.struct_passwd((name, "x", os.geteuid(), os.getegid(), "", homes[name], "/bin/sh"))

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    monkeypatch.setattr(Host, "has", lambda _, program: program == "docker-credential-lab")
    for folder in ("home/deploy", "home/ci", "var/lib", "tmp"):
        (tmp_path / folder).mkdir(parents=True)
    return Host(tmp_path)


def line(user: str = "deploy", **wanted: Any) -> CommandLine:
    logins = (Login(registry=SERVER, user="puller"),)
    return CommandLine(user=user, **{"logins": logins, **wanted})


def wish(*lines: CommandLine) -> Any:
    return docker_cli.render(lines or (line(),), {"password-puller": PASSWORD}).wish()


def apply(host: Host, *lines: CommandLine) -> dict[str, Any]:
    return Transactions(host).apply(DockerCli(), wish(*lines))


def remove(host: Host) -> dict[str, Any]:
    return Transactions(host).remove(DockerCli())


def write(host: Host, content: bytes = FOREIGN, mode: int = 0o600) -> Path:
    path = host.path(NAME)
    path.parent.mkdir(mode=0o755, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def modes(host: Host) -> tuple[int, int]:
    path = host.path(NAME)
    return path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777


def test_a_new_file_is_for_the_account_alone_and_goes_again(host: Host) -> None:
    assert apply(host)["files"] == [NAME]
    assert modes(host) == (0o700, 0o600)
    assert json.loads(host.path(NAME).read_text()) == {"auths": {SERVER: {"auth": "cHVsbGVyOnMzY3JldC13b3Jk"}}}
    assert apply(host)["result"] == "unchanged"
    remove(host)
    assert list((host.root / "home/deploy").iterdir()) == []


@pytest.mark.parametrize(("mode", "meanwhile"), [(0o644, 0o600), (0o640, 0o600), (0o600, 0o600), (0o400, 0o400)])
def test_a_file_with_a_login_is_closed_to_others_and_opened_again(host: Host, mode: int, meanwhile: int) -> None:
    path = write(host, mode=mode)
    apply(host)
    assert modes(host) == (0o755, meanwhile)
    assert apply(host)["result"] == "unchanged"
    apply(host, line(helpers={"b.example": "lab"}))
    remove(host)
    assert (modes(host), path.read_bytes()) == ((0o755, mode), FOREIGN)


def test_a_file_without_a_login_of_ours_keeps_its_mode(host: Host) -> None:
    write(host, mode=0o644)
    apply(host)
    apply(host, line(logins=(), store="lab"))
    assert modes(host)[1] == 0o644


def test_a_mode_that_somebody_has_changed_since_stays(host: Host) -> None:
    path = write(host, mode=0o644)
    apply(host)
    path.chmod(0o400)
    remove(host)
    assert (path.stat().st_mode & 0o777, path.read_bytes()) == (0o400, FOREIGN)


def test_a_file_that_somebody_opens_again_is_closed_again(host: Host) -> None:
    path = write(host)
    apply(host)
    path.chmod(0o644)
    assert apply(host)["result"] == "changed"
    assert modes(host)[1] == 0o600


def test_an_account_that_leaves_the_wish_gets_its_file_back(host: Host) -> None:
    write(host)
    apply(host, line(), line("ci"))
    apply(host, line("ci"))
    assert host.path(NAME).read_bytes() == FOREIGN
    assert json.loads(host.path("~ci/.docker/config.json").read_text())["auths"][SERVER]


def test_an_account_that_is_gone_holds_nothing_up(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(host, line(), line("ci"))
    known = pwd.getpwnam
    monkeypatch.setattr(pwd, "getpwnam", lambda name: known(name if name != "deploy" else "no one"))
    assert drift(host, "", ["docker-cli"], lambda _: DockerCli())["units"]["docker-cli"]["files"][NAME]
    assert list(DockerCli().observe(host)) == ["~ci/.docker/config.json"]
    assert remove(host)["notes"] == [f"{NAME}: the account is gone; nothing was put back"]
    assert not host.path("~ci/.docker").exists()


def test_a_change_that_was_killed_is_taken_back(host: Host) -> None:
    path = write(host, mode=0o644)
    for step in ("check", "swap", "activate", "verify", "commit"):
        assert in_child(partial(Transactions(host, at(step, die)).apply, DockerCli(), wish())) != 0
        remove(host)
        assert (modes(host)[1], path.read_bytes()) == (0o644, FOREIGN)
        assert [each.name for each in path.parent.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ([line("nemo")], "nemo: this host has no such account"),
        ([line("nobody")], "/nonexistent: the home of nobody is not there; create it"),
        (
            [line("ci", store="pass")],
            r"docker-credential-pass: not on this host's PATH; .*golang-docker-credential-helpers",
        ),
        ([line("ci", helpers={"b.example": "own"})], "docker-credential-own: not on this host's PATH; install it, or"),
        ([line("ci", helpers={SERVER: "lab"})], "must be the name of a server, with one login or one helper"),
        ([line("ci", helpers={"docker.io": "lab", "index.docker.io": "lab"})], "with one login or one helper"),
        ([line("ci"), line("twin")], "is the file of ci and of twin"),
        ([line("ci"), line("ci")], "must be the name of an account, and be there once"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_touched(
    host: Host, lines: list[CommandLine], error: str
) -> None:
    write(host)
    with pytest.raises(HostError, match=error):
        apply(host, line(), *lines)
    assert host.path(NAME).read_bytes() == FOREIGN
    assert not host.path("~ci/.docker").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"user": "a/b"},
        {"auths": ["a"]},
        {"auths": {SERVER: {"user": "a:b", "password": "x"}}},
        {"auths": {SERVER: {"user": "a", "password": "x\0"}}},
        {"auths": {SERVER: {"user": "a"}}},
        {"auths": {"two words": {"user": "a", "password": "x"}}},
        {"store": "../../bin/evil"},
        {"helpers": {SERVER: "a b"}},
        {"store": 1},
    ],
)
def test_a_malformed_wish_is_refused(host: Host, change: dict[str, Any]) -> None:
    with pytest.raises(HostError, match=r"^wish"):
        Transactions(host).apply(DockerCli(), {"users": [{"user": "deploy", **change}]})


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_refused_and_keeps_nobody_waiting(host: Host, make: Any) -> None:
    write(host).unlink()
    make(host.path(NAME))
    with pytest.raises(HostError, match="is not a file"):
        apply(host)


def test_a_file_without_end_is_refused(host: Host) -> None:
    os.truncate(write(host), 1 << 40)
    with pytest.raises(HostError, match="has more than 16 MiB"):
        apply(host)


def test_a_link_to_a_file_of_one_s_own_stays_a_link(host: Host) -> None:
    path = write(host)
    path.rename(host.root / "home/deploy/dotfile")
    path.symlink_to("../dotfile")
    apply(host)
    assert SERVER in (host.root / "home/deploy/dotfile").read_text()
    remove(host)
    assert (str(path.readlink()), path.read_bytes()) == ("../dotfile", FOREIGN)


def test_a_file_that_docker_cannot_read_is_taken_back_with_docker_s_reason(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []

    def run(_: Host, *command: str, **more: Any) -> Finished:
        commands.append(command)
        folder = command[command.index("--config") + 1]
        assert SERVER in (Path(folder) / "config.json").read_text()
        return Finished(0, f"WARNING: Error loading config file: {folder}/config.json: cannot unmarshal number\nNAME")

    path = write(host, b'{"HttpHeaders": 1}')
    monkeypatch.setattr(Host, "run", run)
    monkeypatch.setattr(Host, "has", lambda *_: True)
    with pytest.raises(HostError, match=rf"{NAME}: docker would not read it: .*{NAME}: cannot unmarshal number"):
        apply(host)
    assert path.read_bytes() == b'{"HttpHeaders": 1}'
    assert list((host.root / "tmp").iterdir()) == []
    assert PASSWORD not in str(commands)


def test_the_password_is_in_nothing_that_people_see(host: Host) -> None:
    write(host, b'{"auths": {"192.168.1.11": {"auth": "YTpi", "identitytoken": "idt"}, "x": {"registrytoken": "rt"}}}')
    report = apply(host)
    assert "somebody's login for 192.168.1.11 does not count until this is removed" in report["notes"][0]
    told = [json.dumps(report), json.dumps(Transactions(host).observe(DockerCli()))]
    host.path(NAME).write_bytes(b'{"auths": {"192.168.1.11": {"auth": "YTpi"}}}')
    told.append(json.dumps(drift(host, "", ["docker-cli"], lambda _: DockerCli())))
    assert "auths.192.168.1.11" in told[-1]
    told.append(json.dumps(docker_cli.render((line(),), {"password-puller": PASSWORD}).shown()))
    for secret in (PASSWORD, "cHVsbGVy", "YTpi", "idt", '"rt"'):
        assert all(secret not in each for each in told)


def test_people_are_shown_the_keys_as_they_are_written() -> None:
    logins = (Login(registry="docker.io", user="me"), Login(registry="r:5000", user="you", password="other"))
    shown = docker_cli.render((line("root", logins=logins, store="pass", helpers={"h.example": "lab"}),), {}).shown()
    assert list(shown) == ["~root/.docker/config.json"]
    assert json.loads(shown["~root/.docker/config.json"]) == {
        "auths": {
            "https://index.docker.io/v1/": {"user": "me", "auth": "***"},
            "r:5000": {"user": "you", "auth": "***"},
        },
        "credsStore": "pass",
        "credHelpers": {"h.example": "lab", "https://index.docker.io/v1/": "", "r:5000": ""},
    }
