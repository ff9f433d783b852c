"""Decides, on all four runtimes, what a stack with more than the lab's brings: a mirror that asks for a login, a second
upstream, a mirror over TLS whose authority nobody knows. And that all of it goes away without a trace.

Docker 20.10 gets its login by the relay, Engine 29 and containerd 1.6 by a header, containerd 2.4 by the CRI.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.proof import APP, REGISTRY, proxy_log
from ops.stack import PROJECT, Stack
from tests.lab import https_registry
from tests.lab.hosts import must, pulumi, without_records

pytestmark = pytest.mark.lab

MIRROR, OTHER_MIRROR = f"{REGISTRY}:5080", f"{REGISTRY}:5081"
CLIENTS = ("docker1", "docker2", "containerd1", "containerd2")
RELAY = "http-registry-docker-relay"
BY = {"containerd2": {"by": "cri"}}
OTHER, SECURE = f"other.test/{APP}", f"secure.test/{APP}"
CA = PROJECT / ".work" / "lab-test-ca.pem"


def fuller(folder: Path, password: str) -> Path:
    """The lab's stack file with more in it; `password` is whose password the runtimes have for puller."""
    stack = yaml.safe_load((PROJECT / "stacks" / "Pulumi.lab.yaml").read_text())
    config: dict[str, Any] = stack["config"]
    cache = {"kind": "cache", "name": "other-cache", "host": "registry", "port": 5002}
    config["http-registry:registries"].append({**cache, "serves": "other.test", "upstream": "http://192.168.1.10:5000"})
    endpoints = config["http-registry:proxy"]["endpoints"]
    endpoints[1]["login"] = True
    endpoints.append({"registry": "other-cache", "port": 5081, "server_name": REGISTRY})
    for each in config["http-registry:runtimes"]:
        login = {"registry": MIRROR, "user": "puller", "password": password, **BY.get(each["host"], {})}
        (each.get("docker") or each.get("containerd"))["logins"] = [login]
        if "containerd" in each:
            mirror = {"serves": "secure.test", "endpoints": [f"https://{https_registry.REGISTRY}"]}
            each["containerd"]["mirrors"] = [mirror]
    authority = {
        "name": "lab-test",
        "certificate": str(CA.relative_to(PROJECT)),
        "registries": [https_registry.REGISTRY],
    }
    config["http-registry:authorities"] = [authority]
    file = folder / f"{password}.yaml"
    file.write_text(yaml.safe_dump(stack))
    return file


@pytest.fixture(scope="module")
def passwords(stack: Stack) -> list[str]:
    return [stack.pulumi("config", "get", f"password-{user}", quiet=True).strip() for user in ("pusher", "puller")]


@pytest.fixture(scope="module")
def told(stack: Stack, passwords: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The fuller stack is up, after a try with a wrong password; yields what pulumi printed."""
    folder = tmp_path_factory.mktemp("stacks")
    up = ("up", "--yes", "--skip-preview", "--diff")
    before = {name: without_records(name) for name in CLIENTS}
    with https_registry.https_registry() as signer:
        CA.write_text(signer.pem)
        try:
            wrong = pulumi(stack, *up, "--config-file", str(fuller(folder, "pusher")), fails=True)
            halfway = {name: runtimes(name) for name in CLIENTS}
            right = pulumi(stack, *up, "--config-file", str(fuller(folder, "puller")))
            yield wrong + right
        finally:
            pulumi(stack, "up", "--yes", "--skip-preview")
            CA.unlink()
    for name in CLIENTS:
        assert without_records(name) == before[name]
    refused = {each for each in CLIENTS if f"{each}-" in wrong.split("Diagnostics:")[-1]}
    assert refused == set(CLIENTS)
    assert "the mirror refuses the login (status 401" in wrong
    assert "does not pull through the mirror of docker.io" in wrong
    assert halfway == {name: [line for line in before[name] if is_runtime(line)] for name in CLIENTS}


def runtimes(host: str) -> list[str]:
    """The files of the runtimes alone: those of the authority came before them."""
    return [line for line in without_records(host) if is_runtime(line)]


def is_runtime(line: str) -> bool:
    return any(name in line for name in ("hosts.toml", "config.toml", "daemon.json", RELAY))


def pulled(host: str, image: str) -> list[dict[str, str]]:
    """The proxy's log of a pull from that host, which must succeed: the requests with status 200."""
    tool = "docker" if host.startswith("docker") else "crictl"
    pull = f"{tool} rmi {image} >/dev/null 2>&1; {tool} pull {image}; status=$?; {tool} rmi {image}; exit $status"
    with proxy_log() as log:
        must(host, pull)
    return [entry for entry in log if "/library/app/" in entry["request"] and entry["status"] == "200"]


@pytest.mark.parametrize("host", CLIENTS)
def test_a_runtime_pulls_with_its_login(told: str, host: str) -> None:
    image = APP if host.startswith("docker") else f"docker.io/{APP}"
    assert {entry["user"] for entry in pulled(host, image)} == {"puller"}


def test_nobody_else_is_let_in(told: str) -> None:
    ask = f"curl -s -o /dev/null -w '%{{http_code}}' http://{MIRROR}/v2/library/app/manifests/1"
    assert must("docker1", ask) == "401"


def test_only_the_docker_that_needs_a_relay_has_one(told: str) -> None:
    assert must("docker1", f"systemctl is-enabled {RELAY}; systemctl is-active {RELAY}").split() == [
        "enabled",
        "active",
    ]
    assert json.loads(must("docker1", "cat /etc/docker/daemon.json"))["registry-mirrors"] == ["http://127.0.0.1:5079"]
    assert must("docker2", f"systemctl is-active {RELAY} || true").strip() == "inactive"
    assert "registry-mirrors" not in json.loads(must("docker2", "cat /etc/docker/daemon.json"))


def test_the_relay_comes_back_with_the_host(told: str) -> None:
    """What a boot does: both stand still, then systemd starts what it has enabled."""
    must("docker1", f"systemctl stop docker {RELAY} && systemctl start multi-user.target docker")
    assert {entry["user"] for entry in pulled("docker1", APP)} == {"puller"}


def test_a_neighbour_gets_nothing_from_the_relay(told: str) -> None:
    ask = "curl -s -m 2 -o /dev/null -w '%{http_code}' http://192.168.1.21:5079/v2/"
    assert must("containerd1", f"{ask} || true") == "000"


@pytest.mark.parametrize("host", ["docker2", "containerd1", "containerd2"])
def test_a_second_upstream_is_mirrored_where_the_runtime_can(told: str, host: str) -> None:
    """Nobody but the mirror knows a registry of that name."""
    entries = pulled(host, OTHER)
    assert entries
    assert {entry["user"] for entry in entries} == {""}


def test_an_older_docker_is_told_what_to_use_instead_and_can(told: str) -> None:
    assert "can't mirror other.test: its registry-mirrors counts for docker.io alone" in told
    assert f"Pull by the mirror's own name ({OTHER_MIRROR}/…)" in told
    assert pulled("docker1", f"{OTHER_MIRROR}/{APP}")


@pytest.mark.parametrize(
    ("host", "image"),
    [
        ("containerd1", SECURE),
        ("containerd2", SECURE),
        ("docker1", f"{https_registry.REGISTRY}/{APP}"),
        ("docker2", f"{https_registry.REGISTRY}/{APP}"),
    ],
)
def test_an_authority_of_the_stack_is_trusted(told: str, host: str, image: str) -> None:
    pulled(host, image)
    assert must(host, f"curl -sS -o /dev/null -w '%{{http_code}}' https://{https_registry.REGISTRY}/v2/") == "200"


@pytest.mark.parametrize("host", CLIENTS)
def test_only_root_reads_the_password(told: str, passwords: list[str], host: str) -> None:
    forms = f"-e '{passwords[1]}' -e $(printf %s 'puller:{passwords[1]}' | base64)"
    readable = "find /etc /var/lib/http-registry /run -xdev -type f -perm /044 -print0"
    assert must(host, f"{readable} | xargs -0 grep -lF {forms} || true") == ""
    assert must(host, f"grep -rlF {forms} /etc") != ""


def test_no_password_is_told(told: str, passwords: list[str], stack: Stack) -> None:
    journals = "".join(must(each, "journalctl -q --no-pager") for each in CLIENTS)
    assert not [each for each in passwords if each in told + json.dumps(stack.outputs()) + journals]
