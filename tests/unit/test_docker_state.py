"""Decides: what dockerd shows, logs and is started with is read rightly, and from it how it takes a change over. Pure.

The lines of the journal are those of Engine 20.10.24, 28.5.2 and 29.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hostctl.daemon_json import DEBUG, DOWNLOADS, INSECURE, MIRRORS
from hostctl.docker_engine import LOOPBACK, known
from hostctl.docker_flags import LOG_LEVEL, excluded, flags, value_of
from hostctl.docker_restart import Taking, reload_notes, restart_note, restart_reason
from hostctl.docker_state import info_complaint, refused
from hostctl.host import Finished, Host
from hostctl.start_command import StartCommand, start_command


def info(mirrors: list[str], insecure: list[str], networks: list[str], debug: bool = False) -> dict[str, Any]:
    indexes = {name: {"Secure": False} for name in insecure}
    return {
        "Debug": debug,
        "RegistryConfig": {
            "Mirrors": mirrors or None,
            "IndexConfigs": {"docker.io": {"Secure": True}, **indexes},
            "InsecureRegistryCIDRs": ["127.0.0.0/8", *networks],
        },
    }


@pytest.mark.parametrize(
    ("shown", "text", "complaint"),
    [
        (info(["http://a/"], [], []), {"registry-mirrors": ["http://a"]}, None),
        (info(["http://a/"], [], []), {}, None),
        (info([], [], []), {"registry-mirrors": []}, None),
        (info([], [], []), {"registry-mirrors": ["http://a"]}, "uses the mirrors"),
        (info(["http://b/", "http://a/"], [], []), {"registry-mirrors": ["http://a", "http://b"]}, "uses the mirrors"),
        (info([], ["r:5000"], ["10.0.0.0/8"]), {"insecure-registries": ["http://r:5000", "10.1.2.3/8"]}, None),
        (info([], [], []), {"insecure-registries": ["127.0.0.0/8"]}, None),
        (info([], ["r:5000"], []), {"insecure-registries": []}, "for insecure registries"),
        (info([], [], []), {"insecure-registries": ["r:5000"]}, "for insecure registries"),
        (info([], [], [], debug=True), {"debug": True}, None),
        (info([], [], [], debug=True), {}, None),
        (info([], [], [], debug=True), {"debug": False}, "dockerd's debug is true in place of false"),
        (info([], [], []), {"debug": True}, "dockerd's debug is false in place of true"),
    ],
)
def test_what_info_shows_is_compared_with_the_text(shown: dict[str, Any], text: Any, complaint: str | None) -> None:
    found = info_complaint(shown, text)
    assert found is None if complaint is None else complaint in (found or "")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            'time="2026-11-25T18:15:11Z" level=error msg="unable to configure the Docker daemon with file '
            "/etc/docker/daemon.json: the following directives don't match any configuration option: no-such\"",
            "unable to configure the Docker daemon with file /etc/docker/daemon.json: the following directives don't "
            "match any configuration option: no-such",
        ),
        (
            'time="2026-11-25T18:15:14Z" level=error msg="Error reconfiguring the daemon: invalid mirror: unsupported '
            'scheme \\"ftp\\" in \\"ftp://x\\""',
            'Error reconfiguring the daemon: invalid mirror: unsupported scheme "ftp" in "ftp://x"',
        ),
        (
            'time="2026-11-25T18:15:41Z" level=error msg="Error reloading configuration" error="file configuration '
            'validation failed: invalid mirror: unsupported scheme \\"ftp\\""',
            'file configuration validation failed: invalid mirror: unsupported scheme "ftp"',
        ),
        (
            '{"error":"the following directives don\'t match","level":"error","msg":"Error reloading configuration"}',
            "the following directives don't match",
        ),
        ('time="2026-11-25T18:15:11Z" level=info msg="Got signal to reload configuration"', ""),
        ('time="2026-11-25T18:15:11Z" level=error msg="Handler for POST /images/create returned error"', ""),
        ('{"level":"info","msg":"Reloaded configuration"}', ""),
        ("docker.service: Sent signal SIGHUP to main process 104 (dockerd) on client request.", ""),
        ("{configuration", ""),
    ],
)
def test_a_refused_reload_is_read_from_the_journal(line: str, reason: str) -> None:
    assert refused(line) == reason


@pytest.mark.parametrize(
    ("arguments", "clash"),
    [
        ("-H fd:// --containerd=/run/containerd/containerd.sock", {}),
        ("--registry-mirror=http://a", {MIRRORS: "--registry-mirror"}),
        ("--registry-mirror http://a", {MIRRORS: "--registry-mirror"}),
        ("--insecure-registry r:1", {INSECURE: "--insecure-registry"}),
        ("--max-concurrent-downloads=3", {DOWNLOADS: "--max-concurrent-downloads"}),
        ("-D", {DEBUG: "-D"}),
        ("--debug=false", {DEBUG: "--debug"}),
        ("-DH fd://", {DEBUG: "-D"}),
        ("-Dl info", {DEBUG: "-D"}),
        ("-D=false", {DEBUG: "-D"}),
        ("-lD", {}),
        ("-HD", {}),
        ("-l debug --log-level=debug --icc=false", {}),
    ],
)
def test_flags_that_exclude_a_key_are_found(arguments: str, clash: dict[str, str]) -> None:
    assert excluded((MIRRORS, INSECURE, DOWNLOADS, DEBUG, "labels"), flags(arguments.split())) == clash


def test_a_flag_s_value_is_read_in_every_form() -> None:
    for form in ("--log-level=warn", "--log-level warn", "-l warn", "-lwarn", "-l=warn", "-Dlwarn"):
        assert value_of(LOG_LEVEL, flags(form.split())) == "warn"
    assert value_of(LOG_LEVEL, flags(["-H", "fd://"])) == ""


SHOWN = """\
ExecStart={{ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// {options} ; ignore_errors=no ; pid=0 }}
Environment=OPTS=-D "MORE=--log-level warn" PLAIN=x
EnvironmentFiles=/etc/default/docker (ignore_errors=yes)
EnvironmentFiles=/etc/missing (ignore_errors=yes)
"""


@pytest.mark.parametrize(
    ("options", "default_docker", "added"),
    [
        ("", "", []),
        ("$OPTS $MORE", "", ["-D", "--log-level", "warn"]),
        ("--label=${PLAIN} $NOTHING ${NOTHING}", "", ["--label=x", ""]),
        ("$DOCKER_OPTS", "# DOCKER_OPTS=-x\nDOCKER_OPTS='--dns 1.1.1.1 -D'\n", ["--dns", "1.1.1.1", "-D"]),
        ("$DOCKER_OPTS", "DOCKER_OPTS=--dns 1.1.1.1\n", ["--dns", "1.1.1.1"]),
        ("$DOCKER_OPTS", 'DOCKER_OPTS="-D \\\n  --mtu=9"\n', ["-D", "--mtu=9"]),
        ("$DOCKER_OPTS", "DOCKER_OPTS='--label=a\n", ["'--label=a"]),
        ("$OPTS", "OPTS=--from-the-file\n", ["--from-the-file"]),
    ],
)
def test_the_next_start_s_command_is_read_with_its_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, default_docker: str, added: list[str]
) -> None:
    monkeypatch.setattr(Host, "run", lambda *_, **__: Finished(0, SHOWN.format(options=options)))
    (tmp_path / "etc/default").mkdir(parents=True)
    (tmp_path / "etc/default/docker").write_text(default_docker)
    assert start_command(Host(tmp_path), "docker") == StartCommand("/usr/sbin/dockerd", ("-H", "fd://", *added))


def test_a_service_without_a_command_has_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "run", lambda *_, **__: Finished(0, "Environment=\n"))
    assert start_command(Host(), "docker") == StartCommand()


BOTH = {MIRRORS: ["http://a"], INSECURE: ["r:1"]}


def taking(version: str, after: dict[str, Any], **about: Any) -> Taking:
    rest = {"given": {}, "upcoming": {}, "before": {}, "running": 2, "kept": False, **about}
    return Taking(engine=known(version), after=after, **rest)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (taking("20.10.24", BOTH), None),
        (taking("20.10.24", {"debug": True}, given={"-D": ""}), "still runs with -D"),
        (taking("20.10.24", {"debug": True}, given={"-D": ""}, upcoming={"-D": ""}), None),
        (taking("20.10.24", {}, given={"-D": ""}), None),
        (taking("20.10.24", {}, given={"--config-file": "/x"}), "still runs with --config-file"),
        (taking("23.0.6", BOTH), "Docker 23.0.6 loses insecure-registries"),
        (taking("24.0.0", {INSECURE: ["r:1"]}, before=BOTH), "loses insecure-registries"),
        (taking("24.0.0", {INSECURE: ["r:1"]}), None),
        (taking("24.0.0", {MIRRORS: ["http://a"]}), None),
        (taking("23.0.7", BOTH), None),
        (taking("24.0.1", BOTH), None),
        (taking("29.2.1", {"dns": ["10.0.0.1"]}), "Docker 29.2.1 loses its dns servers"),
        (taking("29.2.1", {}, given={"--dns": "10.0.0.1"}), "loses its dns servers"),
        (taking("28.5.2", {"dns": ["10.0.0.1"]}), None),
        (taking("29.3.0", {"dns": ["10.0.0.1"]}, running=0), None),
        (taking("28.5.2", BOTH, running=0), "loses host-gateway"),
        (taking("28.5.2", BOTH, kept=True), "loses host-gateway"),
        (taking("27.5.1", BOTH, running=0), None),
    ],
)
def test_a_restart_is_for_what_a_reload_does_not_do(change: Taking, reason: str | None) -> None:
    found = restart_reason(change)
    assert found is None if reason is None else reason in (found or "")


def test_a_development_build_counts_as_the_last_of_its_major_version() -> None:
    engine = known("29.0.0-dev", True)
    assert (engine.reads_hosts_toml, engine.reload_loses_host_gateway, engine.loopback) == (True, False, LOOPBACK)
    assert (engine.note, known("29.9.1").loopback, known("30.0.0").note is None) == (None, (), False)


def test_a_restart_s_note_says_what_becomes_of_the_containers() -> None:
    assert restart_note("why", taking("29.9.0", {}, running=0)).endswith("why; no container was running")
    assert restart_note("why", taking("29.9.0", {})).endswith(
        "that stops the running containers (2), since live-restore is off"
    )
    assert restart_note("why", taking("29.9.0", {}, kept=True)).endswith(
        "the running containers (2) go on (live-restore)"
    )


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (taking("20.10.24", {"log-level": "warn"}, before={"debug": True}), "logs at level info, not warn, until"),
        (taking("20.10.24", {}, before={"debug": True}, given={"-l": "error"}), "logs at level info, not error, until"),
        (taking("20.10.24", {"log-level": "info"}, before={"debug": True}), None),
        (taking("20.10.24", {"log-level": "warn", "debug": True}, before={"debug": True}), None),
        (taking("20.10.24", {"log-level": "warn"}), None),
        (taking("28.5.2", {}), "new containers that use it fail until docker is restarted"),
        (taking("29.3.0", {}), None),
    ],
)
def test_what_a_reload_leaves_behind_is_told(change: Taking, note: str | None) -> None:
    notes = reload_notes(change)
    assert notes == [] if note is None else note in notes[0]
