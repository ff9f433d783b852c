"""Decides, on Docker 20.10 and 29, containerd 1.6 and 2.4, that a wish is in force, and gone when it is removed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from documents import containerd_mirrors, docker_mirrors
from ops.configuration import tier_of
from tests.lab.hosts import HOSTCTL, must, snapshot

pytestmark = pytest.mark.lab

DOCKERS, CONTAINERDS = ("docker1", "docker2"), ("containerd1", "containerd2")
UNITS = {**dict.fromkeys(DOCKERS, "docker-mirrors"), **dict.fromkeys(CONTAINERDS, "containerd-mirrors")}
OWNER = "http-registry/lab/{}"


def wish(host: str) -> dict[str, Any]:
    """What the lab's stack wishes for the runtime of a host."""
    tier = tier_of("lab")
    runtime = next(each for each in tier.runtimes if each.host == host)
    if runtime.docker:
        return docker_mirrors.render(runtime.docker, tier.mirrors(), tier.hosted()).wish()
    assert runtime.containerd
    return containerd_mirrors.render(runtime.containerd, tier.mirrors(), tier.hosted()).wish()


def hostctl(host: str, action: str, wanted: dict[str, Any] | None = None) -> dict[str, Any]:
    """The report of a request on a host; `seconds` is what it took there."""
    request = json.dumps({"owner": OWNER.format(host), "unit": UNITS[host], "wish": wanted})
    timed = f"began=$(date +%s%N); {HOSTCTL} {action} 2>/dev/null; echo; echo $(( $(date +%s%N) - began ))"
    report, _, nanoseconds = must(host, timed, stdin=request).strip().rpartition("\n")
    return {**json.loads(report), "seconds": int(nanoseconds) / 1e9}


@pytest.mark.parametrize("host", UNITS)
def test_an_unchanged_host_is_left_alone_at_once(host: str) -> None:
    before = snapshot(host)
    reports = [hostctl(host, "apply", wish(host)) for _ in range(3)]
    assert {(each["result"], each["activation"]) for each in reports} == {("unchanged", "none")}
    assert snapshot(host) == before
    print(f"{host}: unchanged apply in {min(each['seconds'] for each in reports):.2f} s")


@pytest.mark.parametrize("host", UNITS)
def test_more_is_taken_over_and_taken_back(host: str) -> None:
    before = without_records(host)
    changed = hostctl(host, "apply", {**wish(host), "max_concurrent_downloads": 9, "debug": True})
    try:
        assert changed["result"] == "changed"
        assert changed["activation"] == ("reload" if host in DOCKERS else "restart")
        assert in_force(host) == {"downloads": 9, "debug": True}
    finally:
        hostctl(host, "apply", wish(host))
    assert in_force(host) == {"downloads": 6, "debug": False}
    assert without_records(host) == before


def without_records(host: str) -> list[str]:
    """hostctl's own records name each transaction."""
    return [line for line in snapshot(host) if "/var/lib/http-registry" not in line]


@pytest.mark.parametrize("host", DOCKERS)
def test_a_removed_list_is_gone_from_the_running_docker(host: str) -> None:
    before = info(host)
    hostctl(host, "remove")
    try:
        left = info(host)
    finally:
        hostctl(host, "apply", wish(host))
    assert not left["Mirrors"]
    assert "192.168.1.11" not in left["IndexConfigs"]
    assert info(host) == before


def info(host: str) -> dict[str, Any]:
    told = json.loads(must(host, "docker info -f '{{json .RegistryConfig}}'"))
    return {key: told[key] for key in ("Mirrors", "IndexConfigs")}


def in_force(host: str) -> dict[str, Any]:
    """What the running program itself says; containerd tells its configuration only by its file."""
    if host in DOCKERS:
        debug = must(host, "docker info -f '{{.Debug}}'").strip() == "true"
        daemon = json.loads(must(host, "cat /etc/docker/daemon.json"))
        return {"downloads": daemon["max-concurrent-downloads"], "debug": debug}
    dump = must(host, "containerd config dump 2>/dev/null")
    table = "io.containerd.grpc.v1.cri" if host == "containerd1" else "io.containerd.transfer.v1.local"
    section = dump.split(table, 1)[1]
    downloads = section.split("max_concurrent_downloads = ", 1)[1].split()[0]
    return {"downloads": int(downloads), "debug": "level = 'debug'" in dump.replace('"', "'")}
