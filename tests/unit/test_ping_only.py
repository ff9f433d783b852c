"""Decides what the `ssh` of a preview answers; tests/preview/test_docker_ping.py lets Docker's own client ask."""

from __future__ import annotations

import subprocess

import pytest

from ops.preview import WITHOUT_HOSTS

DIAL = ("-o", "BatchMode=yes", "-l", "root", "--", "192.0.2.1", "docker system dial-stdio")


def ssh(*arguments: str, requests: str = "") -> tuple[int, str, str]:
    command = [str(WITHOUT_HOSTS / "ssh"), *arguments]
    done = subprocess.run(command, input=requests, capture_output=True, text=True, check=False, timeout=20)
    return done.returncode, done.stdout, done.stderr


def request(line: str) -> str:
    return f"{line} HTTP/1.1\r\nHost: api.moby.localhost\r\nUser-Agent: test\r\n\r\n"


def test_pings_are_answered_one_after_the_other() -> None:
    status, answers, errors = ssh(*DIAL, requests=request("HEAD /_ping") + request("GET /v1.41/_ping"))
    assert (status, errors) == (0, "")
    assert answers.count("200 OK") == 2
    assert "\nApi-Version: 1.41\n" in answers
    assert answers.endswith("\n\nOK")


@pytest.mark.parametrize("line", ["GET /v1.41/info", "POST /v1.41/containers/create", "POST /_ping"])
def test_anything_else_is_refused_with_a_reason(line: str) -> None:
    status, answers, errors = ssh(*DIAL, requests=request("HEAD /_ping") + request(line) + request("HEAD /_ping"))
    assert status == 1
    assert answers.count("200 OK") == 1
    assert "403 Forbidden" in answers
    for text in (answers, errors):
        assert "this is a preview, which reaches no host" in text
        assert line in text


def test_no_other_command_is_run() -> None:
    status, answers, errors = ssh("root@192.0.2.1", "rm -rf /")
    assert (status, answers) == (255, "")
    assert "this is a preview, which reaches no host" in errors
