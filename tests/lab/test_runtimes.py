"""Decides, on Docker 20.10 and 29, containerd 1.6 and 2.4, that a wish is in force, and gone when it is removed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.hosts import must, snapshot, without_records
from tests.lab.unit_requests import DOCKERS, UNITS, hostctl, wish

pytestmark = pytest.mark.lab


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
