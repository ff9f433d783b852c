"""Decides what `make adopt` proposes: each case has files and rules as they are found on hosts, and the settings expected.

A case is also a stack's file: what is proposed is read as one, and the runtimes' files must say it already where the
case says so.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import settings
from adopt import rules, texts
from hostctl import hosts_toml, hosts_toml_meaning
from ops.adopt.agreement import agreement
from ops.adopt.findings import Machine
from ops.adopt.proposal import propose
from ops.adopt.said import plain
from ops.adopt.text import lines

CASES = sorted((Path(__file__).parents[1] / "cases" / "adopt").glob("*.yaml"))
EMPTY: dict[str, Any] = {
    "files": {}, "docker": None, "containerd": None, "containers": [], "nginx": None, "users": {}, "logins": [],
    "ports": [], "addresses": [], "silent": [],
}  # fmt: skip
DOCKER = {"version": "20.10.24", "store": False, "file": "/etc/docker/daemon.json", "flags": {}, "runs": True}
CONTAINERD = {"version": "1.6", "file": "/etc/containerd/config.toml", "imports": [], "roots": [], "runs": True}
CONTAINER = {
    "image": "registry:2", "host_network": False, "ports": [], "mounts": [], "env": {}, "config": "", "passwords": "",
    "addresses": [],
}  # fmt: skip


def machine(name: str, given: dict[str, Any]) -> Machine:
    report = {**EMPTY, **given.get("report", {})}
    for key, default in (("docker", DOCKER), ("containerd", CONTAINERD)):
        report[key] = {**default, **report[key]} if report[key] is not None else None
    report["containers"] = [{**CONTAINER, **each} for each in report["containers"]]
    return Machine(name, given["address"], {"name": name, "address": given["address"]}, report)


@pytest.fixture(params=CASES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(request.param.read_text())
    return loaded


def test_what_is_proposed(case: dict[str, Any]) -> None:
    machines = [machine(name, given) for name, given in case["hosts"].items()]
    proposal = propose(machines, case.get("base", {}), "ours")
    whole = "\n".join(lines(proposal, "http-registry", "ours", {}))
    # What is printed is the file.
    config = yaml.safe_load(whole)["config"]
    assert {key.removeprefix("http-registry:"): each for key, each in config.items()} == plain(proposal.tree)
    assert {**plain(proposal.tree), **case["settings"]} == plain(proposal.tree), whole
    assert set(proposal.notes.secrets) == set(case.get("secrets", ()))
    for kind in ("left", "changes"):
        said = [re.sub(r"\s+", " ", each) for each in getattr(proposal.notes, kind)]
        expected = case.get(kind, [])
        assert len(said) == len(expected), said
        assert all(any(part in each for each in said) for part in expected), said
    assert len(proposal.errors) == len(case.get("errors", [])), proposal.errors
    # Every line of a value tells where it comes from, but for names that are made up here.
    values = [line for line in whole.splitlines() if re.match(r"\s+(- )?[a-z_]+: [^{]", line) and "#" not in line]
    assert all(re.match(r"\s+(- )?(name|host): ", line) for line in values), values


def test_files_that_say_it_already(case: dict[str, Any]) -> None:
    machines = [machine(name, given) for name, given in case["hosts"].items()]
    tier, _ = settings.check(settings.Given(plain(propose(machines, case.get("base", {})).tree)))
    assert tier is not None
    agreed = [
        f"{each.name}:{one.path}" for each in machines for one in agreement(tier, each.name, each.report) if one.says_it
    ]
    assert sorted(agreed) == sorted(case.get("says_it", []))
