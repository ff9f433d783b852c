"""Decides that what somebody's files say already is left as it is: no byte moves, nothing is reloaded or restarted.

It is ours to watch all the same: drift is seen, another wish replaces it, and the removal gives it back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from documents import containerd_mirrors, docker_mirrors
from hostctl import containerd_toml, drift
from hostctl.containerd_imports import beside
from hostctl.daemon_json import PATH as DAEMON_JSON
from hostctl.host import Host
from hostctl.systemd import monotonic
from hostctl.transaction import Transactions
from hostctl.unit import HEADER
from hostctl.units.containerd_mirrors import ContainerdMirrors, wanted_by
from hostctl.units.docker_mirrors import DockerMirrors
from settings.runtimes import Containerd
from settings.runtimes import Docker as DockerSettings
from tests.unit.docker_host import Docker, answering
from tests.unit.fake_containerd import RELEASES, ContainerdHost, on_disk

CERTS = "/etc/containerd/certs.d"
HUB, HOSTED = {"docker.io": "http://10.0.0.5:5001"}, ["http://10.0.0.5:5000"]
BY_HAND = {
    "/etc/containerd/config.toml": 'version = 2\n# mine\n[plugins."io.containerd.grpc.v1.cri".registry]\n'
    f'  config_path = "{CERTS}"\n',
    f"{CERTS}/docker.io/hosts.toml": 'server = "https://docker.io"\n\n[host."http://10.0.0.5:5001"]\n'
    '  capabilities = ["resolve", "pull"] # mine\n',
    f"{CERTS}/10.0.0.5:5000/hosts.toml": 'server = "http://10.0.0.5:5000"\n[host."http://10.0.0.5:5000"]\n',
}


@pytest.fixture
def node(tmp_path: Path) -> ContainerdHost:
    """A containerd that runs with files of somebody's."""
    host = ContainerdHost(tmp_path)
    for path, text in BY_HAND.items():
        put(host, path, text)
        os.utime(host.path(path), (1, 1))
    host.state.started = monotonic()
    return host


def put(host: Host, path: str, text: str) -> None:
    host.path(path).parent.mkdir(parents=True, exist_ok=True)
    host.path(path).write_text(text)


def wish(**settings: Any) -> dict[str, Any]:
    return containerd_mirrors.render(Containerd(**{"fallback": True, **settings}), HUB, HOSTED).wish()


def drifted(host: Host) -> dict[str, Any]:
    units: dict[str, Any] = drift.drift(host, "", ["containerd-mirrors"], lambda _: ContainerdMirrors())["units"]
    files: dict[str, Any] = units["containerd-mirrors"]["files"]
    return files


def test_files_of_containerd(node: ContainerdHost) -> None:
    before = on_disk(node)
    report = Transactions(node).apply(ContainerdMirrors(), wish())
    assert (report["result"], report["files"], report["activation"]) == ("unchanged", [], "none")
    assert sum("says it already" in each for each in report["notes"]) == 2
    again = Transactions(node).apply(ContainerdMirrors(), wish())
    assert (again["result"], again["notes"]) == ("unchanged", [])
    assert (on_disk(node), node.state.restarts, drifted(node)) == (before, 0, {})


def test_a_file_that_config_toml_imports(node: ContainerdHost) -> None:
    main, imported = "/etc/containerd/config.toml", "/etc/containerd/conf.d/mirrors.toml"
    put(node, imported, BY_HAND[main])
    put(node, main, 'version = 2\nimports = ["/etc/containerd/conf.d/*.toml"]\n')
    os.utime(node.path(main), (1, 1))
    os.utime(node.path(imported), (1, 1))
    before = on_disk(node)
    report = Transactions(node).apply(ContainerdMirrors(), wish())
    assert (report["result"], report["files"], report["activation"]) == ("unchanged", [], "none")
    assert on_disk(node) == before
    # What it does not say, config.toml does.
    wanted = beside(wanted_by(wish(debug=True)), [BY_HAND[main].encode()], RELEASES[node.printed])
    assert containerd_toml.merge(b"version = 2\n", wanted, RELEASES[node.printed])[0].count(b" = ") == 2


def test_what_somebody_changes_then_is_drift_and_comes_to_our_words(node: ContainerdHost) -> None:
    path = f"{CERTS}/docker.io/hosts.toml"
    Transactions(node).apply(ContainerdMirrors(), wish())
    put(node, path, '[host."http://10.6.6.6"]\n')
    assert "10.6.6.6" in drifted(node)[path]["text"]
    report = Transactions(node).apply(ContainerdMirrors(), wish())
    assert report["files"] == [path]
    assert HEADER in node.path(path).read_text()
    assert "10.6.6.6" in node.path(f"{path}.http-registry-kept").read_text()
    Transactions(node).remove(ContainerdMirrors())
    assert node.path(path).read_text() == BY_HAND[path]


def test_what_somebody_says_in_other_words_stays_theirs(node: ContainerdHost) -> None:
    path = f"{CERTS}/docker.io/hosts.toml"
    Transactions(node).apply(ContainerdMirrors(), wish())
    put(node, path, BY_HAND[path].replace("mine", "in other words"))
    assert Transactions(node).apply(ContainerdMirrors(), wish())["files"] == []
    assert drifted(node) == {}
    Transactions(node).remove(ContainerdMirrors())
    assert "in other words" in node.path(path).read_text()


def test_another_wish_replaces_them_until_it_is_removed(node: ContainerdHost) -> None:
    before = on_disk(node)
    Transactions(node).apply(ContainerdMirrors(), wish())
    report = Transactions(node).apply(ContainerdMirrors(), wish(fallback=False))
    assert report["files"] == [f"{CERTS}/docker.io/hosts.toml"]
    assert any("it comes back when this is removed" in each for each in report["notes"])
    Transactions(node).remove(ContainerdMirrors())
    assert {path: text for path, text in on_disk(node).items() if "http-registry" not in path} == before
    assert node.state.restarts == 0


def test_a_removal_at_once_leaves_them(node: ContainerdHost) -> None:
    before = on_disk(node)
    Transactions(node).apply(ContainerdMirrors(), wish())
    assert Transactions(node).remove(ContainerdMirrors())["files"] == []
    assert (on_disk(node), node.state.restarts) == (before, 0)


def test_a_login_in_it_is_read_by_root_alone(node: ContainerdHost) -> None:
    wanted = containerd_mirrors.render(
        Containerd.model_validate_json('{"fallback": true, "logins": [{"registry": "10.0.0.5:5001", "user": "u"}]}'),
        HUB, HOSTED, passwords={"password-u": "p"},
    ).wish()  # fmt: skip
    path = f"{CERTS}/docker.io/hosts.toml"
    theirs = BY_HAND[path] + '  [host."http://10.0.0.5:5001".header]\n    authorization = "Basic dTpw"\n'
    put(node, path, theirs)
    Transactions(node).apply(ContainerdMirrors(), wanted)
    assert node.path(path).read_text() == theirs
    assert node.path(path).stat().st_mode & 0o777 == 0o600
    Transactions(node).remove(ContainerdMirrors())
    assert (node.path(path).read_text(), node.path(path).stat().st_mode & 0o777) == (theirs, 0o644)


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    host = Host(tmp_path)
    put(
        host,
        DAEMON_JSON,
        '{"insecure-registries": ["10.9.9.9", "10.0.0.5:5000"],\n "registry-mirrors" : [ "http://10.0.0.5:5001/" ]}',
    )
    with answering(Docker(host), monkeypatch) as made:
        yield made


def test_lists_of_docker_in_another_spelling_and_order(docker: Docker) -> None:
    before = docker.host.path(DAEMON_JSON).read_bytes()
    wanted = docker_mirrors.render(DockerSettings(), HUB, HOSTED).wish()
    report = Transactions(docker.host).apply(DockerMirrors(), wanted)
    assert (report["result"], report["files"], report["activation"]) == ("unchanged", [], "none")
    assert (docker.host.path(DAEMON_JSON).read_bytes(), docker.reloads, docker.starts) == (before, [], 1)
    Transactions(docker.host).remove(DockerMirrors())
    assert (docker.host.path(DAEMON_JSON).read_bytes(), docker.reloads, docker.starts) == (before, [], 1)


def test_a_docker_that_reads_hosts_toml_needs_none_for_what_daemon_json_says(docker: Docker) -> None:
    docker.version, docker.store = "29.9.0", True
    before = docker.host.path(DAEMON_JSON).read_bytes()
    wanted = docker_mirrors.render(DockerSettings(fallback=True), HUB, HOSTED).wish()
    for _ in range(2):
        report = Transactions(docker.host).apply(DockerMirrors(), wanted)
        assert (report["result"], report["files"], report["activation"]) == ("unchanged", [], "none")
    assert (docker.host.path(DAEMON_JSON).read_bytes(), docker.reloads) == (before, [])
    assert not docker.host.path("/etc/docker/certs.d").exists()
    # Once it does not say it any more, a file of ours does.
    put(docker.host, DAEMON_JSON, '{"insecure-registries": ["10.0.0.5:5000"]}')
    units = drift.drift(docker.host, "", ["docker-mirrors"], lambda _: DockerMirrors())["units"]
    assert units["docker-mirrors"]["files"][DAEMON_JSON]["keys"][0]["key"] == "registry-mirrors"
    report = Transactions(docker.host).apply(DockerMirrors(), wanted)
    assert "/etc/docker/certs.d/docker.io/hosts.toml" in report["files"]
    Transactions(docker.host).remove(DockerMirrors())
    assert docker.host.path(DAEMON_JSON).read_text() == '{"insecure-registries": ["10.0.0.5:5000"]}'
    assert not docker.host.path("/etc/docker/certs.d").exists()


def test_without_a_way_back_daemon_json_does_not_say_it(docker: Docker) -> None:
    docker.version, docker.store = "29.9.0", True
    wanted = docker_mirrors.render(DockerSettings(), HUB, HOSTED).wish()
    report = Transactions(docker.host).apply(DockerMirrors(), wanted)
    assert report["files"] == ["/etc/docker/certs.d/docker.io/hosts.toml"]


def test_a_mirror_that_is_asked_second_is_moved_to_the_front(docker: Docker) -> None:
    wanted = docker_mirrors.render(DockerSettings(), {"docker.io": "http://10.0.0.7"}, ()).wish()
    assert Transactions(docker.host).apply(DockerMirrors(), wanted)["files"] == [DAEMON_JSON]
