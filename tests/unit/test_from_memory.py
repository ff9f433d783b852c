"""Decides: what is sent to a host runs from memory with the standard library alone, and ends by its deadline."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
import time
from typing import Any

from hostctl import package
from ops.from_memory import FromMemory

DOCTOR = FromMemory("doctor")


def asked(deadline: float, *urls: str) -> tuple[dict[str, Any], float]:
    """The report on a pull from each of these places, and the seconds that it took."""
    pulls = [
        {
            "runtime": "containerd",
            "image": {"registry": url.split("://")[1], "repository": "", "tag": "", "digest": ""},
            "wanted": {"urls": [url], "user": "", "fallback": False, "servers": []},
        }
        for url in urls
    ]
    request = json.dumps({"clock": time.time(), "deadline": deadline, "pulls": pulls, "serves": None})
    python, *rest = shlex.split(DOCTOR.command)
    assert python == "python3"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-S", *rest],
        input=DOCTOR.stdin(request),
        capture_output=True,
        text=True,
        cwd="/",
        check=True,
        timeout=30,
    )
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    return report, time.monotonic() - began


def test_it_answers() -> None:
    report, _ = asked(8, "http://127.0.0.1:1")
    (walked,) = report["pulls"]
    assert walked["pull"]["image"]["registry"] == "127.0.0.1:1"
    assert walked["steps"], "no step was taken"
    assert not any("doctor itself failed" in each["said"] for each in walked["steps"])
    assert report["server"] == []


def test_it_ends_by_its_deadline_and_says_who_did_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        report, took = asked(0.5, f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert took < 8  # the silent server would hold it for ever, a step for ten seconds
    (walked,) = report["pulls"]
    assert walked["steps"][-1]["state"] in ("skipped", "broken")


def test_hostctl_is_another_program() -> None:
    assert b"doctor/walk.py" in DOCTOR.archive()
    assert b"doctor/" not in package.archive()
