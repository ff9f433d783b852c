"""Decides: which form of the mirrors an engine gets, how it takes them over, and that a removed key is really gone.

The engine is a small one that takes daemon.json over as moby's does; the real ones are in tests/lab.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from documents import docker_mirrors
from hostctl.daemon_json import DEBUG, DOWNLOADS, INSECURE, MIRRORS, PATH
from hostctl.docker_engine import LOOPBACK
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.transaction import Transactions
from hostctl.units.docker_mirrors import CERTS, DockerMirrors
from settings.runtimes import Docker as Settings
from tests.unit.docker_host import Docker, answering

FOREIGN = b'{ "labels":["a=b"],\n\t"mtu":1400 }'
HUB, QUAY = {"docker.io": "http://10.0.0.1:5080"}, {"quay.io": "http://10.0.0.1:5081"}
BOTH = {**HUB, **QUAY}
HOSTED = "http://10.0.0.1:5000"
HUB_FILE = f"{CERTS}/docker.io/hosts.toml"

Start = Callable[..., Docker]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts the host's Docker with a daemon.json of somebody else."""
    with ExitStack() as stack:

        def started(daemon_json: bytes | None = FOREIGN, **about: Any) -> Docker:
            host = Host(tmp_path)
            if daemon_json is not None:
                host.path(PATH).parent.mkdir(parents=True)
                host.path(PATH).write_bytes(daemon_json)
            return stack.enter_context(answering(Docker(host, **about), monkeypatch))

        yield started


def wish(mirrors: dict[str, str] = BOTH, hosted: tuple[str, ...] = (HOSTED,), **settings: Any) -> Any:
    return docker_mirrors.render(Settings(**settings), mirrors, hosted).wish()


def apply(docker: Docker, wanted: Any) -> dict[str, Any]:
    return Transactions(docker.host).apply(DockerMirrors(), wanted)


def remove(docker: Docker) -> dict[str, Any]:
    return Transactions(docker.host).remove(DockerMirrors())


def file(docker: Docker) -> Any:
    return json.loads(docker.host.path(PATH).read_text())


def hosts_toml(docker: Docker) -> list[str]:
    folder = docker.host.path(CERTS)
    return sorted(path.parent.name for path in folder.glob("*/hosts.toml"))


def test_an_engine_without_the_store_gets_the_keys_and_is_told_what_it_cannot_do(start: Start) -> None:
    docker = start()
    report = apply(docker, wish(max_concurrent_downloads=6))
    assert (report["activation"], docker.starts) == ("reload", 1)
    assert docker.live[MIRRORS] == [HUB["docker.io"]]
    assert docker.live[INSECURE] == ["10.0.0.1:5000", "10.0.0.1:5081"]
    assert docker.live[DOWNLOADS] == 6
    assert hosts_toml(docker) == []
    (note,) = report["notes"]
    assert note.startswith(
        "Docker 20.10.24+dfsg1 can't mirror quay.io: its registry-mirrors counts for docker.io alone"
    )
    assert "the mirror's own name (10.0.0.1:5081/…)" in note
    assert apply(docker, wish(max_concurrent_downloads=6))["result"] == "unchanged"


def test_mirrors_that_an_engine_cannot_use_are_an_error_where_nothing_else_is_wanted(start: Start) -> None:
    docker = start()
    with pytest.raises(HostError, match=r"can't mirror quay\.io.*or take the host out of the Docker mirrors"):
        apply(docker, wish(QUAY, ()))
    assert docker.host.path(PATH).read_bytes() == FOREIGN


@pytest.mark.parametrize("version", ["28.5.2", "29.9.0", "29.0.0-dev"])
def test_an_engine_with_the_store_gets_hosts_toml_and_docker_hub_s_mirror_in_no_other_place(
    start: Start, version: str
) -> None:
    docker = start(version=version, store=True)
    apply(docker, wish())
    assert hosts_toml(docker) == ["10.0.0.1:5000", "docker.io", "quay.io"]
    assert MIRRORS not in file(docker)
    assert docker.live[INSECURE][:2] == ["10.0.0.1:5000", "10.0.0.1:5081"]
    assert remove(docker)["result"] == "removed"
    assert not docker.host.path(CERTS).exists()
    assert docker.host.path(PATH).read_bytes() == FOREIGN


def test_an_engine_before_28_reads_no_hosts_toml_with_the_store_either(start: Start) -> None:
    docker = start(version="27.5.1", store=True)
    apply(docker, wish())
    assert (hosts_toml(docker), MIRRORS in file(docker)) == ([], True)


def test_hosts_toml_alone_needs_no_reload_and_no_daemon_json(start: Start) -> None:
    docker = start(None, version="29.9.0", store=True)
    report = apply(docker, wish(HUB, ()))
    assert (report["activation"], docker.reloads, docker.starts) == ("none", [], 1)
    assert not docker.host.path(PATH).exists()
    report = apply(docker, wish(HUB, (), fallback=True))
    assert (report["files"], report["activation"], docker.reloads) == ([HUB_FILE], "none", [])


def test_a_stopped_engine_that_may_have_the_store_gets_both_forms(start: Start) -> None:
    docker = start(version="29.9.0", active="inactive")
    report = apply(docker, wish())
    assert "docker is not running" in report["notes"][0]
    assert (hosts_toml(docker)[1:], MIRRORS in file(docker)) == (["docker.io", "quay.io"], True)


def test_a_stopped_engine_that_is_too_old_for_the_store_gets_the_keys(start: Start) -> None:
    docker = start(active="inactive")
    apply(docker, wish())
    assert (hosts_toml(docker), MIRRORS in file(docker)) == ([], True)


def test_an_engine_that_gets_the_store_has_its_mirror_moved(start: Start) -> None:
    docker = start()
    apply(docker, wish())
    docker.version, docker.store = "29.9.0", True
    apply(docker, wish())
    assert (docker.live[MIRRORS], MIRRORS in file(docker)) == ([], False)
    assert "docker.io" in hosts_toml(docker)


def test_a_mirror_of_somebody_else_that_no_longer_counts_is_told(start: Start) -> None:
    docker = start(b'{"registry-mirrors": ["http://theirs"]}', version="29.9.0", store=True)
    assert "somebody's registry-mirrors (http://theirs/) does not count beside" in apply(docker, wish())["notes"][0]


@pytest.mark.parametrize("version", ["20.10.24", "29.9.0", "29.10.0"])
def test_what_is_removed_is_gone_from_the_engine_too(start: Start, version: str) -> None:
    docker = start(version=version, store=version > "28")
    before = docker.info()
    apply(docker, wish(max_concurrent_downloads=6, debug=True))
    assert docker.live[DEBUG] is True
    apply(docker, wish(HUB, ()))
    assert docker.live[DEBUG] is False
    remove(docker)
    assert docker.info() == before
    assert (docker.live[DOWNLOADS], docker.starts) == (3, 1)


def test_debug_of_somebody_else_comes_back(start: Start) -> None:
    docker = start(b'{"debug": false}')
    apply(docker, wish(debug=True))
    remove(docker)
    assert (docker.live[DEBUG], docker.host.path(PATH).read_bytes()) == (False, b'{"debug": false}')


def test_an_insecure_list_takes_loopback_along_where_it_would_end_it(start: Start) -> None:
    docker = start(version="29.10.0", store=True)
    apply(docker, wish())
    assert file(docker)[INSECURE] == ["10.0.0.1:5000", "10.0.0.1:5081", *LOOPBACK]


def test_flags_of_the_next_start_are_refused_before_anything_is_touched(start: Start) -> None:
    docker = start()
    docker.set_options("--registry-mirror=http://x -D")
    with pytest.raises(HostError) as refused:
        apply(docker, wish(debug=True))
    assert "is started with --registry-mirror, -D, and would not start with registry-mirrors, debug" in str(
        refused.value
    )
    assert "move the flag's value from the service" in str(refused.value)
    assert docker.host.path(PATH).read_bytes() == FOREIGN
    apply(docker, wish(QUAY, (HOSTED,)))


def test_a_flag_of_a_docker_that_does_not_run_is_found(start: Start) -> None:
    docker = start(active="inactive", options="--insecure-registry 10.0.0.0/8")
    with pytest.raises(HostError, match="--insecure-registry, and would not start with insecure-registries"):
        apply(docker, wish())


def test_where_a_script_starts_dockerd_the_process_s_flags_count(start: Start) -> None:
    docker = start(options="-D", program="/usr/local/bin/start-docker")
    docker.set_options("")
    with pytest.raises(HostError, match="is started with -D, and would not start with debug"):
        apply(docker, wish(debug=True))


@pytest.mark.parametrize(
    ("live_restore", "fate", "after"),
    [
        (False, "that stops the running containers (3), since live-restore is off", 0),
        (True, "the running containers (3) go on (live-restore)", 3),
    ],
)
def test_a_flag_that_only_the_process_has_is_got_rid_of_by_a_restart(
    start: Start, live_restore: bool, fate: str, after: int
) -> None:
    docker = start(options="-D", containers=3, live_restore=live_restore)
    docker.set_options("")
    report = apply(docker, wish(HUB, debug=True))
    assert (report["activation"], docker.starts, docker.containers) == ("restart", 2, after)
    assert report["notes"][0] == (
        f"docker is restarted, not reloaded: it still runs with -D, which its service no longer has; {fate}"
    )
    assert report["notes"][1:] == ([] if live_restore else ["after the restart 0 containers run; before it 3 did"])


def test_what_a_reload_leaves_behind_is_in_the_report(start: Start) -> None:
    docker = start(version="28.5.2", store=True, containers=1)
    report = apply(docker, wish())
    assert (report["activation"], docker.containers) == ("reload", 1)
    assert "loses host-gateway when it is reloaded" in report["notes"][0]


def test_a_dockerd_that_reads_another_file_is_refused(start: Start) -> None:
    with pytest.raises(HostError, match=r"dockerd reads /srv/d\.json in place of /etc/docker/daemon\.json"):
        apply(start(options="--config-file /srv/d.json"), wish())


def test_a_number_that_the_engine_does_not_heed_is_told(start: Start) -> None:
    docker = start(version="29.3.0", store=True)
    docker.journal = ['level=warning msg="max downloads and uploads is not yet implemented with the containerd store"']
    assert apply(docker, wish())["notes"] == []
    (note,) = apply(docker, wish(max_concurrent_downloads=6))["notes"]
    assert note == "dockerd says that its containerd image store does not heed max-concurrent-downloads in this version"


def test_a_refused_reload_is_taken_back_with_dockerd_s_own_reason(start: Start) -> None:
    docker = start()
    foreign = b'{"no-such-key": 1}'
    docker.host.path(PATH).write_bytes(foreign)
    with pytest.raises(HostError, match="dockerd keeps its old configuration: the directives don't match any"):
        apply(docker, wish())
    assert docker.host.path(PATH).read_bytes() == foreign


@pytest.mark.parametrize(("options", "foreign"), [("", b'{"no-such-key": 1}'), ("-D", b'{"debug": false}')])
def test_an_engine_that_can_validate_is_asked_before_anything_is_live(
    start: Start, options: str, foreign: bytes
) -> None:
    docker = start(b"{}", version="29.9.0")
    docker.host.path(PATH).write_bytes(foreign)
    docker.set_options(options)
    with pytest.raises(
        HostError, match=r"^/etc/docker/daemon\.json: dockerd would refuse it: /etc/docker/daemon\.json"
    ):
        apply(docker, wish())
    assert (docker.host.path(PATH).read_bytes(), docker.reloads) == (foreign, [])


@pytest.mark.parametrize(
    ("version", "error"), [("19.03.15", "is older than 20.10"), ("unknown", "is none that we know")]
)
def test_an_engine_that_we_do_not_support_is_refused(start: Start, version: str, error: str) -> None:
    with pytest.raises(HostError, match=error):
        apply(start(version=version), wish())


def test_an_engine_that_is_newer_than_we_know_is_told_and_treated_as_the_newest(start: Start) -> None:
    docker = start(version="31.2.0", store=True)
    assert apply(docker, wish())["notes"] == ["Docker 31.2.0 is newer than any that we know; treated as 29"]
    assert "docker.io" in hosts_toml(docker)


def test_a_folder_that_would_hide_ours_is_refused(start: Start) -> None:
    docker = start(version="29.9.0", store=True)
    docker.host.path(f"{CERTS}/10.0.0.1_5000_").mkdir(parents=True)
    with pytest.raises(HostError, match=r"10\.0\.0\.1_5000_: dockerd looks there and then not into .*:5000"):
        apply(docker, wish())


def test_a_path_elsewhere_is_refused(start: Start) -> None:
    wanted = {**wish(), "files": [{"path": f"{CERTS}/../daemon.json", "content": "x", "mode": 0o644}]}
    with pytest.raises(HostError, match=r"is not below /etc/docker/certs\.d"):
        apply(start(version="29.9.0", store=True), wanted)


def test_both_files_are_observed_without_credentials(start: Start) -> None:
    docker = start(b'{"http-proxy": "http://me:pw@proxy"}', version="29.9.0", store=True)
    apply(docker, wish(HUB, ()))
    seen = DockerMirrors().observe(docker.host)
    assert list(seen) == [PATH, HUB_FILE]
    assert "http://***@proxy" in seen[PATH]
