"""Decides, on all four runtimes, that a mirror that asks for a login is used, and that a wrong password is an error.

Docker 20.10 gets its relay, Engine 29 and containerd 1.6 a header in hosts.toml, containerd 2.4 a login of the CRI.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ops.proof import APP, PROXY_LOG, REGISTRY
from ops.stack import PROJECT, Stack
from tests.lab.hosts import must, pulumi, without_records

pytestmark = pytest.mark.lab

MIRROR = f"{REGISTRY}:5080"
CLIENTS = ("docker1", "docker2", "containerd1", "containerd2")
RELAY = "http-registry-docker-relay"
BY = {"containerd2": {"by": "cri"}}


def with_login(folder: Path, password: str) -> Path:
    """The lab's stack file, its mirror with login; `password` is whose password the runtimes have for puller."""
    stack = yaml.safe_load((PROJECT / "stacks" / "Pulumi.lab.yaml").read_text())
    config = stack["config"]
    config["http-registry:proxy"]["endpoints"][1]["login"] = True
    for each in config["http-registry:runtimes"]:
        login = {"registry": MIRROR, "user": "puller", "password": password, **BY.get(each["host"], {})}
        (each.get("docker") or each.get("containerd"))["logins"] = [login]
    file = folder / f"{password}.yaml"
    file.write_text(yaml.safe_dump(stack))
    return file


@pytest.fixture(scope="module")
def passwords(stack: Stack) -> list[str]:
    return [stack.pulumi("config", "get", f"password-{user}", quiet=True).strip() for user in ("pusher", "puller")]


@pytest.fixture(scope="module")
def asking(stack: Stack, passwords: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The stack with a mirror that asks for a login; yields what pulumi printed."""
    folder = tmp_path_factory.mktemp("stacks")
    before = {name: without_records(name) for name in CLIENTS}
    try:
        wrong = pulumi(
            stack,
            "up",
            "--yes",
            "--skip-preview",
            "--diff",
            "--config-file",
            str(with_login(folder, "pusher")),
            fails=True,
        )
        halfway = {name: without_records(name) for name in CLIENTS}
        up = pulumi(
            stack, "up", "--yes", "--skip-preview", "--diff", "--config-file", str(with_login(folder, "puller"))
        )
        yield "\n".join((wrong, up))
    finally:
        pulumi(stack, "up", "--yes", "--skip-preview")
    assert "the mirror refuses the login (status 401" in wrong
    refused = {each for each in CLIENTS if f"{each}-" in wrong.split("Diagnostics:")[-1]}
    assert refused == set(CLIENTS)
    assert "does not pull through the mirror of docker.io" in wrong
    assert halfway == before
    for name in CLIENTS:
        assert without_records(name) == before[name]


def pulled_as(host: str) -> set[str]:
    """Whom the proxy took for the client in a pull; the pull must succeed."""
    seen = len(must("registry", f"cat {PROXY_LOG}").splitlines())
    tool, name = ("docker", APP) if host.startswith("docker") else ("crictl", f"docker.io/{APP}")
    must(host, f"{tool} rmi {name} >/dev/null 2>&1; {tool} pull {name}")
    log = map(json.loads, must("registry", f"tail -n +{seen + 1} {PROXY_LOG}").splitlines())
    return {entry["user"] for entry in log if "/library/app/" in entry["request"] and entry["status"] == "200"}


@pytest.mark.parametrize("host", CLIENTS)
def test_a_runtime_pulls_with_its_login(asking: str, host: str) -> None:
    assert pulled_as(host) == {"puller"}


def test_nobody_else_is_let_in(asking: str) -> None:
    ask = f"curl -s -o /dev/null -w '%{{http_code}}' http://{MIRROR}/v2/library/app/manifests/1"
    assert must("docker1", ask) == "401"


def test_only_the_docker_that_needs_a_relay_has_one(asking: str) -> None:
    assert must("docker1", f"systemctl is-enabled {RELAY}; systemctl is-active {RELAY}").split() == [
        "enabled",
        "active",
    ]
    assert json.loads(must("docker1", "cat /etc/docker/daemon.json"))["registry-mirrors"] == ["http://127.0.0.1:5079"]
    assert must("docker2", f"systemctl is-active {RELAY} || true").strip() == "inactive"
    assert "registry-mirrors" not in json.loads(must("docker2", "cat /etc/docker/daemon.json"))


def test_the_relay_comes_back_with_the_host(asking: str) -> None:
    """What a boot does: everything stops, then starts by systemd's own order."""
    must("docker1", f"systemctl stop docker {RELAY} && systemctl start multi-user.target docker")
    assert pulled_as("docker1") == {"puller"}


def test_a_neighbour_gets_nothing_from_the_relay(asking: str) -> None:
    ask = "curl -s -m 2 -o /dev/null -w '%{http_code}' http://192.168.1.21:5079/v2/"
    assert must("containerd1", f"{ask} || true") == "000"


@pytest.mark.parametrize("host", CLIENTS)
def test_only_root_reads_the_password(asking: str, passwords: list[str], host: str) -> None:
    readable = must(
        host, "find /etc /var/lib/http-registry /run -type f -perm /044 ! -path '*/credentials/*' 2>/dev/null | sort"
    )
    files = " ".join(readable.split())
    found = must(host, f"grep -lF -e {passwords[1]} -e $(printf %s 'puller:{passwords[1]}' | base64) {files} || true")
    assert found == ""
    assert must(host, f"grep -rlF -e '{passwords[1]}' -e $(printf %s 'puller:{passwords[1]}' | base64) /etc") != ""


def test_no_password_is_told(asking: str, passwords: list[str], stack: Stack) -> None:
    told = asking + json.dumps(stack.outputs()) + "".join(must(each, "journalctl -q --no-pager") for each in CLIENTS)
    assert not [each for each in passwords if each in told]
