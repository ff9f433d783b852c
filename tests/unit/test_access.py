"""Decides where logins and authorities stand in what is rendered for a runtime, and who may read those files. Pure.

What the real runtimes and a real nginx make of it is decided in tests/lab and tests/programs.
"""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from documents import containerd_mirrors, docker_mirrors
from hostctl.masking import MASK
from settings.runtimes import Containerd, ContainerdLogin, Docker, Login

MIRROR, HOSTED = "http://m:5080", "https://r:8443"
PASSWORDS = {"password-puller": "geheim", "password-robot": "s3cret"}
PULLER, ROBOT = "Basic cHVsbGVyOmdlaGVpbQ==", "Basic Y2kkYm90OnMzY3JldA=="
CA = {"r:8443": "/etc/ca.pem", "m:5080": "/etc/never-over-http.pem"}


def login(registry: str, **more: Any) -> ContainerdLogin:
    return ContainerdLogin(registry=registry, user="puller", **more)


def containerd(*logins: ContainerdLogin) -> containerd_mirrors.ContainerdMirrors:
    settings = Containerd(logins=logins)
    return containerd_mirrors.render(settings, {"docker.io": MIRROR}, [HOSTED], passwords=PASSWORDS, cas=CA)


def hosts(rendered: Any) -> dict[str, Any]:
    """The hosts.toml files by folder."""
    return {each.path.split("/")[-2]: tomllib.loads(each.text) for each in rendered.files}


def test_a_login_stands_with_its_server_wherever_that_is_named() -> None:
    files = hosts(containerd(login("m:5080")))
    assert files["docker.io"]["header"] == {"Authorization": PULLER}
    assert files["docker.io"]["host"][MIRROR]["header"] == {"Authorization": PULLER}
    assert "header" not in files["r_8443_"]["host"][HOSTED]


def test_an_authority_stands_with_its_server_where_that_speaks_tls() -> None:
    files = hosts(containerd())
    assert files["r_8443_"]["host"][HOSTED]["ca"] == files["r_8443_"]["ca"] == "/etc/ca.pem"
    assert "ca" not in files["docker.io"]["host"][MIRROR]


def test_only_a_file_with_a_login_is_root_s_alone() -> None:
    assert {each.path.split("/")[-2]: each.mode for each in containerd(login("m:5080")).files} == {
        "docker.io": 0o600,
        "r_8443_": 0o644,
    }


def test_a_registry_of_somebody_else_gets_a_file_for_its_login() -> None:
    robot = ContainerdLogin(registry="quay.io", user="ci$bot", password="robot")
    assert hosts(containerd(robot))["quay.io"]["host"] == {
        "https://quay.io": {"capabilities": ["pull", "resolve", "push"], "header": {"Authorization": ROBOT}}
    }


def test_logins_of_the_cri_go_into_config_toml_by_the_server_s_name() -> None:
    rendered = containerd(login("docker.io", by="cri"), login("m:5080", by="cri"))
    assert rendered.wish()["logins"] == [
        {"registry": "registry-1.docker.io", "user": "puller", "password": "geheim"},
        {"registry": "m:5080", "user": "puller", "password": "geheim"},
    ]
    assert "Authorization" not in "".join(each.text for each in rendered.files)
    assert 'registry.configs."m:5080".auth: puller\n' in rendered.shown()[containerd_mirrors.PATH]


def test_docker_hub_takes_no_header() -> None:
    with pytest.raises(ValueError, match="takes a token"):
        login("docker.io")


def docker(*servers: str, **settings: Any) -> docker_mirrors.DockerMirrors:
    logins = tuple(Login(registry=each, user="puller") for each in servers)
    mirrors = {"docker.io": MIRROR, "quay.io": "http://m:5081"}
    wanted = Docker(logins=logins, **settings)
    return docker_mirrors.render(wanted, mirrors, ["http://r"], passwords=PASSWORDS)


def test_docker_io_s_mirror_with_a_login_is_behind_the_relay_for_a_docker_without_hosts_toml() -> None:
    rendered = docker("m:5080", relay_port=5999)
    assert rendered.wish()["registry_mirrors"] == ["http://127.0.0.1:5999"]
    assert rendered.wish()["relay_port"] == 5999
    assert hosts(rendered)["docker.io"]["host"] == {
        MIRROR: {"capabilities": ["pull", "resolve"], "header": {"Authorization": PULLER}}
    }
    assert rendered.relay is not None
    assert {each.mode for each in rendered.relay.files if PULLER in each.text} == {0o600}


@pytest.mark.parametrize("server", ["m:5081", "elsewhere"])
def test_no_other_login_needs_a_relay(server: str) -> None:
    assert docker(server).relay is None
    assert docker(server).wish()["registry_mirrors"] == [MIRROR]


def test_people_are_shown_that_there_is_a_login_and_not_which() -> None:
    settings = Docker(logins=(Login(registry="m:5080", user="puller"),))
    rendered = docker_mirrors.render(settings, {"docker.io": MIRROR}, [], passwords={"password-puller": MASK})
    assert rendered.relay is not None
    shown = "".join([*rendered.shown().values(), *rendered.relay.shown().values()])
    assert shown.count("Basic ***") == 3
