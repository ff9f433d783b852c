"""The small renderers: hosts.toml, Docker's and containerd's files. Cases are files. Pure.

What the real programs make of them is decided in tests/lab.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from documents import containerd_mirrors, docker_mirrors, hosts_toml
from settings.peer import Peer
from settings.runtimes import Containerd, ContainerdLogin, Docker, Mirror

CASES = Path(__file__).parents[1] / "cases"


@pytest.mark.parametrize("case", sorted(CASES.glob("hosts_toml/*")), ids=lambda path: path.name)
def test_hosts_toml(case: Path) -> None:
    given = yaml.safe_load((case / "in.yaml").read_text())
    peer = Peer(**{**given["peer"], "registries": ()}) if "peer" in given else None
    if "hosted" in given:
        rendered = hosts_toml.hosted(given["hosted"], *given.get("mirrors", []), peer=peer)
    else:
        rendered = hosts_toml.mirror(*given["endpoints"], fallback=given["fallback"], peer=peer)
    assert rendered == (case / "hosts.toml").read_text()


def test_containerd_gets_a_folder_for_each_registry() -> None:
    wanted = containerd_mirrors.render(
        Containerd(max_concurrent_downloads=6), {"docker.io": "http://m:5080"}, ["http://10.0.0.1", "https://r:8443"]
    )
    assert [each.path for each in wanted.files] == [
        "/etc/containerd/certs.d/docker.io/hosts.toml",
        "/etc/containerd/certs.d/10.0.0.1/hosts.toml",
        "/etc/containerd/certs.d/r_8443_/hosts.toml",
    ]
    assert wanted.wish()["max_concurrent_downloads"] == 6
    assert (wanted.wish()["debug"], wanted.wish()["migrate_deprecated"]) == (False, False)


def test_more_mirrors_stand_behind_those_of_the_tier() -> None:
    more = {"docker.io": ("http://a", "http://b"), "*": ("http://c",), "r:8443": ("http://d",)}
    settings = Containerd(mirrors=tuple(Mirror(serves=name, endpoints=more[name]) for name in more), debug=True)
    wanted = containerd_mirrors.render(settings, {"docker.io": "http://m"}, ["https://r:8443"])
    assert {each.path.split("/")[4]: re.findall(r'host."(.*)"', each.text) for each in wanted.files} == {
        "docker.io": ["http://m", "http://a", "http://b"],
        "_default": ["http://c"],
        "r_8443_": ["http://d", "https://r:8443"],
    }
    assert wanted.shown()[containerd_mirrors.PATH] == (
        'config_path = "/etc/containerd/certs.d"\ndebug.level = "debug"\n'
    )


def test_docker_gets_both_forms_of_every_mirror() -> None:
    wanted = docker_mirrors.render(
        Docker(max_concurrent_downloads=6, debug=True),
        {"docker.io": "http://m:5080", "quay.io": "http://m:5081", "ghcr.io": "https://g"},
        ["http://10.0.0.1:81", "https://r"],
    )
    wish = wanted.wish()
    assert [each["path"] for each in wish.pop("files")] == [
        "/etc/docker/certs.d/docker.io/hosts.toml",
        "/etc/docker/certs.d/quay.io/hosts.toml",
        "/etc/docker/certs.d/ghcr.io/hosts.toml",
        "/etc/docker/certs.d/10.0.0.1:81/hosts.toml",
    ]
    assert wish == {
        "registry_mirrors": ["http://m:5080"],
        "other_mirrors": {"quay.io": "http://m:5081", "ghcr.io": "https://g"},
        "insecure_registries": ["10.0.0.1:81", "m:5081"],
        "max_concurrent_downloads": 6,
        "debug": True,
        "relay_port": None,
        "canaries": {},
    }


def test_a_docker_mirror_stands_in_for_the_real_registry_unless_told_otherwise() -> None:
    mirrors = {"docker.io": "http://m:5080"}
    alone, before = (docker_mirrors.render(Docker(fallback=each), mirrors, []).files[0] for each in (False, True))
    assert alone.text == hosts_toml.mirror("http://m:5080", fallback=False)
    assert before.text == hosts_toml.mirror("http://m:5080", fallback=True)


def test_people_are_shown_both_forms_and_where_each_counts() -> None:
    shown = docker_mirrors.render(Docker(), {"docker.io": "http://m"}, ["http://10.0.0.1:81"]).shown()
    assert shown["/etc/docker/daemon.json"] == (
        "# registry-mirrors: not on Docker 28 and newer with the containerd image store, where hosts.toml says it.\n"
        '{\n  "registry-mirrors": [\n    "http://m"\n  ],\n  "insecure-registries": [\n    "10.0.0.1:81"\n  ]\n}\n'
    )
    assert list(shown)[1:] == [
        "/etc/docker/certs.d/docker.io/hosts.toml",
        "/etc/docker/certs.d/10.0.0.1:81/hosts.toml",
    ]
    for path in list(shown)[1:]:
        assert shown[path].startswith("# Only on Docker 28 and newer with the containerd image store.\n# Managed by")
    assert docker_mirrors.render(Docker(), {}, []).shown() == {"/etc/docker/daemon.json": "{}\n"}


SPEGEL, DRAGONFLY = Peer(url="http://127.0.0.1:30020"), Peer(url="http://127.0.0.1:4001", kind="dragonfly")


def test_a_peer_stands_before_what_is_mirrored_and_asks_for_no_login() -> None:
    more = {"quay.io": ("http://a",), "*": ("http://c",)}
    login = ContainerdLogin(registry="a", user="puller")
    settings = Containerd(mirrors=tuple(Mirror(serves=name, endpoints=more[name]) for name in more), logins=(login,))
    asked = {}
    for peer in (SPEGEL, SPEGEL.model_copy(update={"registries": ("quay.io", "r:8443")})):
        wanted = containerd_mirrors.render(
            settings, {"docker.io": "http://m"}, ["https://r:8443"], passwords={"password-puller": "p"}, peer=peer
        )
        asked[peer.registries] = {each.path.split("/")[4] for each in wanted.files if SPEGEL.url in each.text}
    assert asked == {(): {"docker.io", "_default"}, ("quay.io", "r:8443"): {"quay.io", "r_8443_"}}


def test_spegel_gets_no_login_and_dragonfly_that_of_the_mirror_behind_it() -> None:
    settings = Containerd(logins=(ContainerdLogin(registry="m", user="puller"),))
    for peer, told in ((SPEGEL, False), (DRAGONFLY, True)):
        named = peer.model_copy(update={"registries": ("docker.io",)})
        (file,) = containerd_mirrors.render(
            settings, {"docker.io": "http://m"}, [], passwords={"password-puller": "p"}, peer=named
        ).files
        assert file.mode == 0o600
        before = file.text.partition(f'[host."{peer.url}"]')[2].partition("[host.")[0]
        assert ("Authorization" in before) is told


def test_docker_asks_dragonfly_alone() -> None:
    asked = {}
    for peer in (SPEGEL, DRAGONFLY):
        wanted = docker_mirrors.render(Docker(), {"docker.io": "http://m", "quay.io": "http://q"}, [], peer=peer)
        in_files = [each.path.split("/")[4] for each in wanted.files if peer.url in each.text]
        asked[peer.kind] = (wanted.wish()["registry_mirrors"], in_files)
    assert asked == {
        "spegel": (["http://m"], []),
        "dragonfly": (["http://127.0.0.1:4001", "http://m"], ["docker.io", "quay.io"]),
    }
