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
from hostctl.waiting import wait_until
from tests.free_port import free_port
from tests.programs.registry_process import wait_for_port
from tests.unit.test_pulls import line

PROGRAM = Path(pull_metrics.__file__).parent
PULLS, KILLS = 20, 2


def a_pull(number: int) -> bytes:
    """The lines of one that ends now: a manifest and a blob."""
    digest = f"sha256:{number:064x}"
    who = {"client": f"192.0.2.{number % PULLS}", "agent": "curl/7.88", "at": f"{time.time():.3f}"}
    return b"".join(line("0", "GET", f"{kind}/{digest}", "-", "200", **who) + b"\n" for kind in ("manifests", "blobs"))


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
    with (folder / "log").open("ab") as log:
        log.writelines(a_pull(int(wanted) + each) for each in range(PULLS))
    wait_until(lambda: None if pulls(port) >= wanted else f"{pulls(port)} of {wanted} pulls are counted", 20)
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
