"""Decides, with real docker, that an account of a host pulls with what is in its config.json, and not without.

In each test the account is new; what the lab's stack wishes for accounts of the host stays there meanwhile.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from documents import docker_cli
from ops.configuration import tier_of
from ops.proof import APP, REGISTRY, on
from ops.stack import Stack
from settings.runtimes import CommandLine, Login
from tests.lab.hosts import HOSTCTL, must
from tests.lab.unit_requests import request

pytestmark = pytest.mark.lab

IMAGE = f"{REGISTRY}/private/cli:1"
LOGIN = CommandLine(user="deploy", logins=(Login(registry=REGISTRY, user="puller"),))
HELPER = CommandLine(user="deploy", helpers={REGISTRY: "lab"})
FILE = "/home/deploy/.docker/config.json"
PROGRAMS = "/usr/local/bin"
KNOWS_NOTHING = '#!/bin/sh\necho "credentials not found in native keychain"\nexit 1\n'
ANSWERS = """#!/bin/sh
echo "$1 $(cat)" >> $HOME/asked
[ "$1" = get ] && printf '{"ServerURL": "%s", "Username": "puller", "Secret": "%s"}' SERVER "$(cat $HOME/secret)"
"""
SPY = '#!/bin/sh\n{ tr "\\0" "\\n" < /proc/$$/cmdline; env; } >> /root/spy/log\nexec NAME "$@"\n'
"""Stands before a program that hostctl runs, and writes down what it is given."""


def password(stack: Stack, user: str) -> str:
    return stack.pulumi("config", "get", f"password-{user}", quiet=True).strip()


@pytest.fixture(scope="module")
def passwords(stack: Stack) -> dict[str, str]:
    """The passwords of the proxy's users, by the secret's name."""
    return {f"password-{user}": password(stack, user) for user in ("puller", "pusher")}


@pytest.fixture(scope="module")
def image(passwords: dict[str, str]) -> Iterator[str]:
    """A private image, pushed by pusher."""
    there = on("docker1", f"docker image inspect {APP}").returncode == 0
    push = (
        f"docker --config /root/push login -u pusher --password-stdin {REGISTRY} 2>/dev/null && "
        f"docker pull -q {APP} && docker tag {APP} {IMAGE} && "
        f"docker --config /root/push push -q {IMAGE} && docker rmi {IMAGE}"
    )
    must("docker1", f"{push}; status=$?; rm -rf /root/push; exit $status", passwords["password-pusher"])
    yield IMAGE
    if not there:
        must("docker1", f"docker rmi {APP}")


@dataclass
class Place:
    """A host with the account deploy, whose docker is the host's."""

    host: str
    passwords: dict[str, str] = field(repr=False)

    def hostctl(self, action: str, *lines: CommandLine, before: str = "") -> str:
        """All that a request prints."""
        runtime = next(each for each in tier_of("lab").runtimes if each.host == self.host)
        wanted = docker_cli.render((*runtime.cli, *lines), self.passwords).wish()
        if action == "apply" and not wanted["users"]:
            action = "remove"
        return must(self.host, f"{before}{HOSTCTL} {action} 2>&1", request(self.host, "docker-cli", wanted))

    def run(self, script: str) -> str:
        return must(self.host, script)

    def write(self, path: str, text: str, mode: str, owner: str = "deploy:deploy") -> None:
        must(self.host, f"umask 077; cat > {path}; chmod {mode} {path}; chown {owner} {path}", text)

    def pull(self) -> str:
        """What docker says to the account, or nothing where it has pulled."""
        script = f"docker pull -q {IMAGE} && docker rmi {IMAGE}"
        done = on(self.host, f"runuser - deploy -c {shlex.quote(script)}")
        return done.stdout if done.returncode else ""

    def home(self) -> str:
        """All in the account's home: names, modes, owners, contents."""
        return self.run("cd /home/deploy && find . -printf '%y %m %u:%g %p %l\\n' | sort && find . -type f | xargs cat")


@pytest.fixture
def place(request: pytest.FixtureRequest, passwords: dict[str, str], image: str) -> Iterator[Place]:
    found = Place(request.param, passwords)
    found.run("useradd --create-home --groups docker --shell /bin/sh deploy")
    try:
        yield found
    finally:
        found.hostctl("apply")
        found.run(f"userdel --remove deploy 2>/dev/null; rm -rf /root/spy {PROGRAMS}/docker-credential-*")


both = pytest.mark.parametrize("place", ["docker1", "docker2"], indirect=True)
one = pytest.mark.parametrize("place", ["docker1"], indirect=True)


def refused(said: str) -> bool:
    return "no basic auth credentials" in said


@both
def test_an_account_pulls_without_a_login_of_its_own(place: Place) -> None:
    before = place.home()
    assert refused(place.pull())
    assert '"changed"' in place.hostctl("apply", LOGIN)
    assert place.run(f"stat -c '%A %U:%G' /home/deploy/.docker {FILE}").split() == [
        "drwx------", "deploy:deploy", "-rw-------", "deploy:deploy",
    ]  # fmt: skip
    assert place.pull() == ""
    assert '"unchanged"' in place.hostctl("apply", LOGIN)
    place.hostctl("apply")
    assert place.home() == before
    assert refused(place.pull())


@both
def test_a_helper_is_asked(place: Place) -> None:
    place.write(f"{PROGRAMS}/docker-credential-lab", ANSWERS.replace("SERVER", REGISTRY), "755", "root:root")
    place.write("/home/deploy/secret", place.passwords["password-puller"], "600")
    place.hostctl("apply", HELPER)
    assert place.pull() == ""
    assert f"get {REGISTRY}" in place.run("cat /home/deploy/asked").splitlines()


@both
def test_a_store_of_somebody_else_does_not_hide_our_login(place: Place) -> None:
    place.write(f"{PROGRAMS}/docker-credential-empty", KNOWS_NOTHING, "755", "root:root")
    place.run("install -d -o deploy -g deploy /home/deploy/.docker")
    auth = base64.b64encode(f"puller:{place.passwords['password-puller']}".encode()).decode()
    place.write(FILE, json.dumps({"auths": {REGISTRY: {"auth": auth}}, "credsStore": "empty"}), "644")
    before = place.home()
    assert refused(place.pull()), "docker has gone by the file although a store knows nothing"
    place.hostctl("apply", LOGIN)
    assert place.pull() == ""
    assert place.run(f"stat -c %a {FILE}").strip() == "600"
    place.hostctl("apply")
    assert place.home() == before


@one
def test_what_docker_writes_meanwhile_stays(place: Place) -> None:
    """docker writes the whole file anew, in its own way."""
    theirs = {"auths": {"other.example": {"auth": "YTpi"}}, "psFormat": "x"}
    place.run("install -d -o deploy -g deploy /home/deploy/.docker")
    place.write(FILE, json.dumps(theirs), "600")
    place.hostctl("apply", LOGIN)
    place.run(f"runuser - deploy -c 'docker logout {REGISTRY}'")
    assert refused(place.pull())
    assert f"somebody has taken auths.{REGISTRY} out since" in place.hostctl("apply", LOGIN)
    assert place.pull() == ""
    assert '"unchanged"' in place.hostctl("apply", LOGIN)
    place.hostctl("apply")
    assert json.loads(place.run(f"cat {FILE}")) == theirs


@one
def test_a_file_that_docker_cannot_read_is_refused_in_docker_s_words(place: Place) -> None:
    place.run("install -d -o deploy -g deploy /home/deploy/.docker")
    place.write(FILE, '{"proxies": {"default": 1}}', "600")
    before = place.home()
    done = place.hostctl("apply", LOGIN, before="! ")
    assert "~deploy/.docker/config.json: docker would not read it: WARNING: Error loading config file: ~deploy" in done
    assert place.home() == before


@one
def test_the_password_is_nowhere_that_others_look(place: Place) -> None:
    place.run("mkdir -p /root/spy")
    for name in ("docker", "setpriv"):
        program = place.run(f"command -v {name}").strip()
        place.write(f"/root/spy/{name}", SPY.replace("NAME", program), "755", "root:root")
    seen: Any = place.hostctl("apply", LOGIN, before="PATH=/root/spy:$PATH; export PATH; ")
    seen += place.hostctl("observe") + place.hostctl("drift") + place.run("cat /root/spy/log")
    assert "--reuid=deploy" in seen
    assert "~deploy/.docker/config.json" in place.hostctl("observe")
    secret = place.passwords["password-puller"]
    assert secret not in seen
    assert base64.b64encode(f"puller:{secret}".encode()).decode() not in seen
    assert base64.b64encode(f"puller:{secret}".encode()).decode() in place.run(f"cat {FILE}")
