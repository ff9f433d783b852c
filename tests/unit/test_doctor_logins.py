"""Decides: the login that a pull of Docker's sends: root's own, a helper's, or the relay's before a mirror."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from doctor.pull import Endpoint
from doctor.steps import docker_mirror_relay
from doctor.steps.docker_logins import CONFIG, Sent, sent
from documents import docker_relay
from hostctl import hosts_toml
from hostctl.host import Host
from hostctl.units.docker_relay import CONFIG as RELAY
from tests.unit.told_host import ToldHost

LOGIN = {"192.168.1.11": {"auth": "cHVsbGVyOnNlY3JldA=="}}
HUB = "https://index.docker.io/v1/"


def host(tmp_path: Path, config: Any, helper: Any = "") -> ToldHost:
    path = Host(tmp_path).path(CONFIG)
    path.parent.mkdir(parents=True)
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    return ToldHost(tmp_path, {"docker-credential-pass get": helper})


LOGGED_IN = ("puller", "secret")
GIVEN = json.dumps({"ServerURL": HUB, "Username": "puller", "Secret": "secret"})


@pytest.mark.parametrize(
    ("config", "registry", "helper", "login"),
    [
        ({"auths": LOGIN}, "192.168.1.11", "", LOGGED_IN),
        ({"auths": LOGIN}, "192.168.1.12", "", None),
        ({}, "192.168.1.11", "", None),
        ({"auths": {HUB: LOGIN["192.168.1.11"]}}, "docker.io", "", LOGGED_IN),
        ({"auths": LOGIN, "credsStore": "pass"}, "docker.io", GIVEN, LOGGED_IN),
        ({"auths": LOGIN, "credsStore": "pass"}, "192.168.1.11", [1, "credentials not found"], None),
        ({"credHelpers": {"192.168.1.11": "pass"}}, "192.168.1.11", "nonsense", None),
        ({"auths": LOGIN, "credsStore": "pass", "credHelpers": {"192.168.1.11": ""}}, "192.168.1.11", "", LOGGED_IN),
    ],
)
def test_root_s_login(tmp_path: Path, config: Any, registry: str, helper: Any, login: Any) -> None:
    assert sent(host(tmp_path, config, helper), registry).login == login


def test_a_helper_is_asked_for_the_server_and_is_named(tmp_path: Path) -> None:
    told = host(tmp_path, {"credsStore": "pass"}, GIVEN)
    assert sent(told, "docker.io").said_by == f"docker-credential-pass, by {CONFIG}"
    assert told.called == ["docker-credential-pass get"]


def test_a_file_that_is_no_json_is_told(tmp_path: Path) -> None:
    assert sent(host(tmp_path, "{"), "docker.io").unreadable.startswith(CONFIG)
    assert sent(Host(tmp_path / "nobody"), "docker.io") == Sent()


def test_the_relay_s_mirror_is_what_its_configuration_says() -> None:
    mirror = hosts_toml.Endpoint("https://mirror.example.com:5443", ca="/etc/ours.pem", authorization="Basic eDp5")
    (config, _) = docker_relay.render(mirror, 5079).files
    assert docker_mirror_relay.target(config.text) == Endpoint(
        "https://mirror.example.com:5443",
        RELAY,
        authorities=("/etc/ours.pem",),
        system_trust=False,
        authorization="Basic eDp5",
        login_said_by=RELAY,
    )
    (config, _) = docker_relay.render(mirror._replace(url="http://192.168.1.11:5080", ca=""), 5079).files
    plain = docker_mirror_relay.target(config.text)
    assert (plain.url, plain.authorities, plain.system_trust) == ("http://192.168.1.11:5080", (), True)


@pytest.mark.parametrize("url", ["http://192.168.1.11:5080", "http://127.0.0.1:5555", "http://127.0.0.1:5079"])
def test_another_mirror_on_loopback_is_none_of_ours(tmp_path: Path, url: str) -> None:
    if not url.endswith("5079"):
        path = Host(tmp_path).path(RELAY)
        path.parent.mkdir(parents=True)
        (config, _) = docker_relay.render(hosts_toml.Endpoint("http://192.168.1.11:5080"), 5079).files
        path.write_text(config.text)
    assert docker_mirror_relay.through(Host(tmp_path), url) is None
