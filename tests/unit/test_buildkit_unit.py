"""Decides what hostctl's buildkit-mirrors does on a host, and what it believes of the daemon there.

The daemon is a fake; that a real one behaves like it is decided in tests/lab.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hostctl import http2_probe, recovery
from hostctl.errors import HostError
from hostctl.recovery import TransactionFailed
from hostctl.systemd import Service
from hostctl.transaction import Transactions
from hostctl.units.buildkit_mirrors import BuildkitMirrors
from tests.unit.fake_buildkit import BuildkitHost

PATH = "/etc/buildkit/buildkitd.toml"
WISH: dict[str, Any] = {
    "config": PATH,
    "service": "buildkit",
    "registries": {"docker.io": {"mirrors": ["192.168.1.11:5080"]}, "192.168.1.11:5080": {"http": True}},
}


@pytest.fixture
def host(tmp_path: Path) -> BuildkitHost:
    return BuildkitHost(tmp_path)


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sockets that were asked; each answers."""
    found: list[str] = []

    def answers(path: str) -> bool:
        found.append(path)
        return True

    monkeypatch.setattr(http2_probe, "answers", answers)
    monkeypatch.setattr(recovery, "VERIFY_PATIENCE", 0.1)
    return found


def apply(host: BuildkitHost, wish: dict[str, Any] = WISH) -> dict[str, Any]:
    return Transactions(host).apply(BuildkitMirrors(), wish)


def remove(host: BuildkitHost) -> dict[str, Any]:
    return Transactions(host).remove(BuildkitMirrors())


@pytest.mark.parametrize("base", [None, b"", b'[registry."docker.io"]\r\nmirrors = ["a"]\r\n'])
def test_a_running_daemon_is_restarted_once_and_gets_its_file_back(base: bytes | None, host: BuildkitHost) -> None:
    if base is not None:
        host.put(base)
    report = apply(host)
    assert (report["result"], report["activation"]) == ("changed", "restart")
    assert [note for note in report["notes"] if "builds that ran are cut" in note]
    assert host.state.read == host.on_disk() != base
    assert apply(host)["result"] == "unchanged"
    assert host.state.restarts == ["buildkit"]
    assert remove(host)["activation"] == "restart"
    assert (host.on_disk(), host.state.read, len(host.state.restarts)) == (base, base, 2)


def test_a_daemon_that_is_not_running_stays_so(host: BuildkitHost) -> None:
    host.state.active = "inactive"
    report = apply(host)
    assert (report["result"], report["activation"]) == ("changed", "none")
    assert report["notes"] == ["buildkit is not running; it reads its file when it is started"]
    assert (apply(host)["result"], host.state.restarts) == ("unchanged", [])
    remove(host)
    assert (host.on_disk(), host.state.restarts) == (None, [])


def test_a_daemon_that_had_failed_is_started(host: BuildkitHost) -> None:
    host.state.active = "failed"
    assert "buildkit had failed; it is started again" in apply(host)["notes"]
    assert host.state.active == "active"


def test_a_daemon_that_is_older_than_the_file_is_restarted(host: BuildkitHost) -> None:
    apply(host)
    host.state.started = 0
    report = apply(host)
    assert (report["result"], report["activation"], report["files"]) == ("changed", "restart", [])


def test_a_file_that_says_all_already_is_adopted_without_a_restart(host: BuildkitHost) -> None:
    host.put(b'[registry."docker.io"]\nmirrors = ["192.168.1.11:5080"]\n[registry."192.168.1.11:5080"]\nhttp = true\n')
    os.utime(host.path(PATH), (time.time() - 3600,) * 2)
    host.state.started = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000 - int(60e6)
    assert (apply(host)["activation"], host.state.restarts) == ("none", [])


def test_a_daemon_that_does_not_start_with_the_file_gets_the_old_one(host: BuildkitHost) -> None:
    host.put(b"debug = true\n")
    host.state.refuses = b"5080"
    with pytest.raises(TransactionFailed, match="buildkit does not run") as failed:
        apply(host)
    assert failed.value.rolled_back
    assert (host.on_disk(), host.state.active) == (b"debug = true\n", "active")


def test_a_daemon_that_does_not_answer_is_a_failure(host: BuildkitHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2_probe, "answers", lambda _: b"5080" not in (host.on_disk() or b""))
    with pytest.raises(TransactionFailed, match=r"does not answer on /run/buildkit/buildkitd\.sock"):
        apply(host)
    assert host.on_disk() is None


def test_a_file_that_buildkitd_would_refuse_is_never_written(host: BuildkitHost) -> None:
    host.put(b"worker = 3\n")
    with pytest.raises(TransactionFailed, match=f"{PATH}: buildkitd would refuse it: toml: cannot decode TOML integer"):
        apply(host)
    assert (host.on_disk(), host.state.restarts) == (b"worker = 3\n", [])


@pytest.mark.parametrize(
    ("command", "file", "sockets"),
    [
        ("/opt/buildkitd", b"", ["/run/buildkit/buildkitd.sock"]),
        ("/opt/buildkitd --addr fd://", b"", ["/run/buildkit/buildkitd.sock"]),
        ("/opt/buildkitd --addr=unix:///a --addr tcp://0.0.0.0:1234", b"", ["/a"]),
        ("/opt/buildkitd --addr tcp://0.0.0.0:1234", b"", []),
        ("/opt/buildkitd", b'[grpc]\naddress = ["unix:///b"]\n', ["/b"]),
    ],
)
def test_the_daemon_is_asked_where_it_listens(
    command: str,
    file: bytes,
    sockets: list[str],
    host: BuildkitHost,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Service, "arguments", lambda _: command.split()[1:])
    host.put(file)
    apply(host)
    remove(host)
    assert list(dict.fromkeys(asked)) == [str(host.path(each)) for each in sockets]


@pytest.mark.parametrize(
    "command",
    [
        "/opt/buildkitd --config /etc/b.toml",
        "/opt/buildkitd --config=/etc/b.toml",
        "/opt/buildkitd -config /etc/b.toml",
        "/usr/bin/rootlesskit --net=host buildkitd --config /etc/b.toml",
    ],
)
def test_a_daemon_that_reads_another_file_is_refused(command: str, host: BuildkitHost) -> None:
    host.state.command = command
    with pytest.raises(HostError, match=f"reads /etc/b.toml, not {PATH}; set buildkit.config"):
        apply(host)
    assert apply(BuildkitHost(host.root, "/etc/b.toml", host.state), {**WISH, "config": "/etc/b.toml"})


def test_a_daemon_without_a_flag_reads_the_usual_file(host: BuildkitHost) -> None:
    with pytest.raises(HostError, match=f"reads {PATH}, not /etc/b.toml"):
        apply(host, {**WISH, "config": "/etc/b.toml"})


def test_a_script_that_starts_the_daemon_in_a_way_of_its_own_is_believed(host: BuildkitHost) -> None:
    host.state.command = "/opt/start-buildkit"
    assert apply(host, {**WISH, "config": "/etc/b.toml"})["result"] == "changed"


def test_without_a_service_the_report_says_who_reads_the_file(host: BuildkitHost) -> None:
    host.state.programs = ("docker", "buildx")
    wish = {**WISH, "service": "other"}
    report = apply(host, wish)
    assert (report["result"], report["activation"]) == ("changed", "none")
    assert len(report["notes"]) == 1
    assert f"docker buildx create --buildkitd-config {PATH}" in report["notes"][0]
    assert apply(host, wish)["result"] == "unchanged"
    host.state.programs = ("buildkitd",)
    assert f"restart the buildkitd that reads {PATH} yourself" in apply(host, wish)["notes"][0]
    remove(host)
    assert (host.on_disk(), host.state.restarts) == (None, [])


@pytest.mark.parametrize("programs", [(), ("docker",)])
def test_a_host_without_buildkit_is_refused(programs: tuple[str, ...], host: BuildkitHost) -> None:
    host.state.programs = programs
    with pytest.raises(HostError, match="no service other, no buildkitd and no docker buildx; install one of them"):
        apply(host, {**WISH, "service": "other"})
    assert host.on_disk() is None


def test_an_authority_that_is_not_on_the_host_is_refused(host: BuildkitHost) -> None:
    wish = {**WISH, "registries": {"r.example": {"ca": ["/etc/ca.pem"]}}}
    with pytest.raises(HostError, match=r"r\.example, ca: there is no file /etc/ca\.pem on this host"):
        apply(host, wish)
    host.path("/etc").mkdir()
    host.path("/etc/ca.pem").touch()
    assert apply(host, wish)["result"] == "changed"


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"registries": ["docker.io"]}, "registries: must be tables"),
        ({"registries": {"docker.io": {"mirrors": "m"}}}, "mirrors: must be a list of strings"),
        ({"registries": {"docker.io": {"http": "yes"}}}, "http: must be true or false"),
        ({"config": "buildkitd.toml"}, "config: buildkitd.toml must be the absolute path of a file"),
        ({"config": "/etc/../x"}, "must be the absolute path"),
        ({"service": 3}, "service: must be a string"),
    ],
)
def test_a_malformed_wish_is_refused(wrong: dict[str, Any], error: str, host: BuildkitHost) -> None:
    with pytest.raises(HostError, match=error):
        apply(host, {**WISH, **wrong})


def test_a_flag_of_somebody_else_that_ours_replaces_is_told(host: BuildkitHost) -> None:
    host.put(b'[registry."192.168.1.11:5080"]\nhttp = false\n')
    assert [note for note in apply(host)["notes"] if 'registry."192.168.1.11:5080".http was false before us' in note]


def test_a_wish_for_nothing_touches_nothing(host: BuildkitHost) -> None:
    report = apply(host, {"registries": {}})
    assert (report["files"], report["activation"], host.state.restarts) == ([], "none", [])


def test_observe_shows_the_file_that_the_record_names(host: BuildkitHost) -> None:
    host.state.command = "/opt/start-buildkit"
    apply(host, {**WISH, "config": "/etc/b.toml"})
    shown = Transactions(host).observe(BuildkitMirrors())["documents"]
    assert list(shown) == ["/etc/b.toml"]
    assert "5080" in shown["/etc/b.toml"]


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        (http2_probe.EMPTY_SETTINGS, True),
        (bytes([0, 0, 6, http2_probe.SETTINGS, 0, 0, 0, 0, 0]) + b"\0\x05\0\0\x40\0", True),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False),
        (b"", False),
    ],
)
def test_only_a_server_that_speaks_http2_answers(said: bytes, answers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    name = f"\0http-registry-{os.urandom(8).hex()}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(name)
        listening.listen()

        def serve() -> None:
            with listening.accept()[0] as connection:
                connection.recv(64)
                connection.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        assert http2_probe.answers(name) is answers
        thread.join()
    assert not http2_probe.answers(name)
