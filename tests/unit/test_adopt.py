"""Decides what `make adopt` proposes: a case has files and rules as found on hosts, and the settings expected.

A case is also a stack's file: what is proposed is read as one, and the runtimes' files must say it already where the
case says so.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import settings
from adopt import registries, rules, texts
from hostctl import docker_api, hosts_toml, hosts_toml_meaning
from hostctl.docker_api import Answer
from hostctl.host import Host
from hostctl.unit import NONE
from ops.adopt.agreement import Agreed, agreement
from ops.adopt.findings import Machine
from ops.adopt.observed import with_hosts
from ops.adopt.proposal import propose
from ops.adopt.said import plain
from ops.adopt.text import lines
from ops.deployment import COMMAND
from ops.preview_effects import SAID, effects
from ops.preview_plan import Plan, Step

CASES = sorted((Path(__file__).parents[1] / "cases" / "adopt").glob("*.yaml"))
EMPTY: dict[str, Any] = {
    "files": {}, "docker": None, "containerd": None, "containers": [], "nginx": [], "users": {}, "logins": [],
    "ports": [], "addresses": [], "silent": [],
}  # fmt: skip
DOCKER = {"version": "20.10.24", "store": False, "file": "/etc/docker/daemon.json", "flags": {}, "runs": True}
CONTAINERD = {"version": "1.6", "file": "/etc/containerd/config.toml", "imports": [], "roots": [], "runs": True}
CONTAINER = {
    "image": "registry:2", "host_network": False, "ports": [], "mounts": [], "env": {}, "config": "", "passwords": "",
    "called": [],
}  # fmt: skip
NGINX: dict[str, Any] = {"container": "", "ports": [], "mounts": []}


def machine(name: str, given: dict[str, Any]) -> Machine:
    report = {**EMPTY, **given.get("report", {})}
    for key, default in (("docker", DOCKER), ("containerd", CONTAINERD)):
        report[key] = {**default, **report[key]} if report[key] is not None else None
    report["nginx"] = [{**NGINX, **each} for each in report["nginx"]]
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
        f"{each.name}:{one.path}"
        for each in machines
        for one in agreement(tier, each.name, each.report)
        if one.says_it and one.there is not None
    ]
    assert sorted(agreed) == sorted(case.get("says_it", []))


def test_no_secret_leaves_a_host() -> None:
    told = texts.hidden(
        "proxy:\n  username: u\n  password: s3cret\nhttp:\n  secret: s3cret\n"
        'storage:\n  s3:\n    accesskey: s3cret\n    secretkey: "s3cret"\n    bucket: b\n'
        '[host."https://u:s3cret@mirror"]\n  header = { Authorization = "Basic s3cret" }\n'
        '  [plugins.x.auth]\n  password = "s3cret"\nproxy_set_header Authorization "Basic s3cret";\n'
    )
    assert "s3cret" not in told
    assert "username: u" in told
    assert "bucket: b" in told
    header = '[host."http://10.0.0.5"]\nheader = { Authorization = "Basic dTpzM2NyZXQ=" }\n'
    logins = texts.header_logins("/etc/containerd/certs.d/10.0.0.5/hosts.toml", header)
    assert [(each["server"], each["user"]) for each in logins] == [("http://10.0.0.5", "u")]


def test_a_container_of_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "Name": "/mirror",
        "Path": "/entrypoint.sh",
        "Args": ["/etc/docker/registry/config.yml"],
        "Config": {
            "Image": "registry:2",
            "Env": [
                "REGISTRY_PROXY_PASSWORD=s3cret",
                "REGISTRY_PROXY_USERNAME=u",
                "REGISTRY_STORAGE_S3_SECRETKEY=s3cret",
                "REGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd",
                "OTHER=s3cret",
            ],
            "Labels": {},
        },
        "HostConfig": {"NetworkMode": "default"},
        "Mounts": [{"Type": "bind", "Source": "/srv/auth", "Destination": "/auth"}],
        "NetworkSettings": {
            "Ports": {"5000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "5001"}], "5001/tcp": None},
            "Networks": {"bridge": {"IPAddress": "172.17.0.2", "Aliases": None}},
        },
    }
    other = {**told, "Path": "nginx", "Args": [], "Config": {"Image": "nginx", "Env": [], "Labels": {}}}
    ours = {**told, "Config": {**told["Config"], "Labels": {"http-registry.stack": "a/b"}}}  # type: ignore[dict-item]
    answers = {"1": told, "2": other, "3": ours}

    def call(_host: Host, _method: str, path: str) -> Answer:
        found = [{"Id": each} for each in answers] if path == "/containers/json" else answers[path.split("/")[2]]
        return Answer(200, json.dumps(found).encode())

    monkeypatch.setattr(docker_api, "call", call)
    (tmp_path / "srv/auth").mkdir(parents=True)
    (tmp_path / "srv/auth/htpasswd").write_text("alice:$2y$05$s3cret\n# no\n")
    report: dict[str, Any] = copy.deepcopy({**EMPTY, "docker": {"runs": True}})
    registries.read(Host(tmp_path), report)
    (container,) = report["containers"]
    assert container["ports"] == [{"inside": 5000, "port": 5001, "address": "0.0.0.0"}]
    assert container["called"] == ["mirror", "172.17.0.2"]
    assert container["env"]["REGISTRY_PROXY_USERNAME"] == "u"
    assert report["users"] == {"/srv/auth/htpasswd": ["alice"]}
    assert "s3cret" not in json.dumps(report)


def test_networks_that_rules_name() -> None:
    text = (
        "-A INPUT -s 10.0.0.0/24 -p tcp -j ACCEPT\n"
        "-A DOCKER-USER -m iprange ! --src-range 192.0.2.4-192.0.2.7 -j DROP\n"
        "ip saddr { 10.1.0.0/16, 10.9.9.9 } accept\nip6 saddr fd00:20::/64 accept\n-A INPUT -s 127.0.0.1/32 -j ACCEPT\n"
    )
    named = {version: [str(each) for each in rules.named(text, version)] for version in (4, 6)}
    assert named == {4: ["192.0.2.4/30", "10.0.0.0/24", "10.1.0.0/16", "10.9.9.9/32"], 6: ["fd00:20::/64"]}


MIRRORS = 'capabilities=["resolve","pull"]\n'
HOSTED = hosts_toml.text(
    [hosts_toml.Endpoint("http://10.0.0.5:5000", hosts_toml.PUSH)], hosts_toml.Endpoint("http://10.0.0.5:5000")
)
MIRROR = hosts_toml.text([hosts_toml.Endpoint("http://10.0.0.5:5001", hosts_toml.PULL)])
AT_HOSTED, AT_HUB = (f"/etc/containerd/certs.d/{each}/hosts.toml" for each in ("10.0.0.5_5000_", "docker.io"))


@pytest.mark.parametrize(
    ("path", "ours", "theirs", "same"),
    [
        (AT_HOSTED, HOSTED, '[host."http://10.0.0.5:5000"]\n', False),  # then HTTPS
        (AT_HOSTED, HOSTED, 'server="http://10.0.0.5:5000"\n[host."http://10.0.0.5:5000/"]\n', True),
        (AT_HOSTED, HOSTED, 'server="http://10.0.0.5:5000"\n', False),  # passed over before 2.0
        (AT_HUB, MIRROR, 'server="https://docker.io"\n[host."http://10.0.0.5:5001"]\n' + MIRRORS, True),
        (AT_HUB, MIRROR, '[host."http://10.0.0.5:5001"]\n' + MIRRORS, True),
        (AT_HUB, MIRROR, '[host."http://10.0.0.5:5001"]\n', False),  # pushes go there too
        (AT_HUB, MIRROR, '[host."http://10.0.0.5:5001/v2"]\n' + MIRRORS + 'override_path=true\n', True),
        (AT_HUB, MIRROR, '[host."http://10.0.0.5:5001"]\n' + MIRRORS + 'ca="x.crt"\n', False),
        (AT_HUB, MIRROR, '[host."http://10.0.0.5:5001"]\ncapabilities=["pull"]\n', False),
        (AT_HUB, MIRROR, '[host."http://10.0.0.5:5001"]\n' + MIRRORS + 'new_key=1\n', False),
        (AT_HUB, MIRROR, 'server="http://10.0.0.5:5001"\n[host."http://10.0.0.5:5001"]\n' + MIRRORS, False),
        (AT_HUB, MIRROR, "no TOML [", False),
    ],
)  # fmt: skip
def test_what_a_hosts_toml_means(path: str, ours: str, theirs: str, same: bool) -> None:
    assert hosts_toml_meaning.same(path, theirs.encode(), ours.encode()) is same


def test_a_preview_of_a_new_host_shows_the_lines_that_change_there() -> None:
    folder = "/etc/containerd/certs.d"
    paths = ("/etc/containerd/config.toml", f"{folder}/docker.io/hosts.toml", f"{folder}/quay.io/hosts.toml")
    texts = {path: f"ours {path}\n" for path in paths}
    step = Step("create", COMMAND, "node-containerd-mirrors", host="node", unit="containerd-mirrors")
    plan = Plan((step,), after={"node": texts}, writes={step.name: frozenset(paths)})
    agreed = [
        Agreed(step.unit, paths[0], "theirs", "theirs", paths[0]),
        Agreed(step.unit, paths[1], "theirs", "theirs", paths[1], is_whole=True),
        Agreed(step.unit, paths[2], "theirs\n", "ours\n", paths[2], is_whole=True),
    ]
    (effect,) = effects(with_hosts(plan, {"node": agreed}))
    assert [each.path for each in effect.diffs] == [paths[2]]
    assert effect.diffs[0].lines[-2:] == ("-theirs", f"+ours {paths[2]}")
    (effect,) = effects(with_hosts(replace(plan, after={"node": dict(list(texts.items())[:2])}), {"node": agreed[:2]}))
    assert (effect.diffs, effect.notes, effect.levels) == ((), (SAID,), (NONE,))
