"""Decides, after lab/down, that the lab has left nothing on this machine but its caches and its key."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import NETWORKS, docker, lab_id
from lab.daemon import command_line
from lab.networks import FAMILIES, GUARD_PREFERENCE
from lab.paths import lab_dir
from lab.traces import DOCKERS, FIREWALLS

pytestmark = pytest.mark.lab


def test_the_lab_is_down() -> None:
    assert lab_id() == ""
    assert not docker.answers(docker.own_socket())


def test_no_process_of_it_runs() -> None:
    lines = [" ".join(command_line(each.name)) for each in Path("/proc").glob("[0-9]*")]
    assert not [line for line in lines if str(lab_dir()) in line]


def test_no_file_system_of_it_is_mounted() -> None:
    assert f" {lab_dir()}/" not in Path("/proc/self/mounts").read_text()


@pytest.mark.parametrize("bridge", [network.bridge for network in NETWORKS])
def test_no_bridge_of_it_is_there(bridge: str) -> None:
    assert not Path("/sys/class/net", bridge).exists()


@pytest.mark.parametrize("family", FAMILIES)
def test_no_routing_rule_of_it_is_there(family: str) -> None:
    done = subprocess.run(["ip", family, "rule"], capture_output=True, text=True, check=True)
    assert f"{GUARD_PREFERENCE}:" not in done.stdout


@pytest.mark.parametrize("program", FIREWALLS)
def test_no_firewall_rule_of_its_docker_is_there(program: str) -> None:
    """A Docker that was there before the lab keeps its own."""
    if docker.running() is None:
        done = subprocess.run([f"{program}-save"], capture_output=True, text=True, check=False)
        assert not [line for line in done.stdout.splitlines() if DOCKERS.search(line)]
