"""Decides that no figure goes back when the service of the metrics is killed, and that none is lost: Prometheus takes a
counter that goes back for one that began anew, and would count all of it again."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import pull_metrics
from documents.nginx_log import LOG_FIELDS
from tests.free_port import free_port
from tests.programs.registry_process import wait_for_port

PROGRAM = Path(pull_metrics.__file__).parent
PULLS, KILLS = 20, 2


def a_pull(number: int) -> str:
    """The lines of one, as nginx writes them: a manifest and a blob."""
    now = time.time()
    fields = dict.fromkeys(LOG_FIELDS, "") | {
        "client": f"192.0.2.{number % PULLS}",
        "server": "registry.example",
        "port": "443",
        "request_bytes": "120",
        "status": "200",
        "bytes": "1000",
        "length": "1000",
        "seconds": "0.010",
        "agent": "curl/7.88",
    }
    digest = f"sha256:{number:064x}"
    asked = [f"GET /v2/app/{each} HTTP/1.1" for each in (f"manifests/{digest}", f"blobs/{digest}")]
    return "".join(json.dumps(fields | {"at": f"{now:.3f}", "request": each}) + "\n" for each in asked)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    settings = {
        "stack": "s", "generation": "g", "listen": ["127.0.0.1"], "port": free_port(), "log": str(tmp_path / "log"),
        "quiet": 1, "endpoints": [{"server": "registry.example", "port": 443, "registry": "hosted"}], "caches": [],
        "folders": [], "parts": [], "certificates": {}, "relayed": {}, "state": str(tmp_path / "state.json"),
        "page": str(tmp_path / "page.json"),
    }  # fmt: skip
    (tmp_path / "log").touch()
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    return tmp_path


@contextmanager
def running(folder: Path, end: signal.Signals = signal.SIGKILL) -> Iterator[int]:
    """The service, and how it ends; the port where it answers."""
    port = json.loads((folder / "settings.json").read_text())["port"]
    log = folder / "said"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", PROGRAM, folder / "settings.json"], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for_port(port, process, log)
        yield port
    finally:
        process.send_signal(end)
        process.wait(timeout=20)


def figures(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    samples = re.findall(r"^(http_registry_\S+_(?:total|count|sum|bucket)\S*) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in samples}


def pulls(port: int) -> float:
    return sum(value for name, value in figures(port).items() if name.startswith("http_registry_pulls_total"))


def more_pulls(folder: Path, port: int) -> dict[str, float]:
    """The figures once they are all counted."""
    wanted = pulls(port) + PULLS
    with (folder / "log").open("a") as log:
        log.writelines(a_pull(int(wanted) + each) for each in range(PULLS))
    deadline = time.monotonic() + 20
    while pulls(port) < wanted:
        assert time.monotonic() < deadline, figures(port)
        time.sleep(0.1)
    return figures(port)


def test_a_figure_never_goes_back(folder: Path) -> None:
    with running(folder, signal.SIGTERM) as port:
        before = more_pulls(folder, port)
    for _ in range(KILLS):
        with running(folder) as port:
            now = figures(port)
            assert {name: (value, now[name]) for name, value in before.items() if now[name] < value} == {}
            more_pulls(folder, port)
            before = more_pulls(folder, port)  # after the one writing for a quarter of a minute
    with running(folder) as port:
        assert pulls(port) == (1 + 2 * KILLS) * PULLS
