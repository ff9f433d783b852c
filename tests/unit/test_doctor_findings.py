"""What `make doctor` leaves for the status page, with a shell as the proxy's host."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from documents.nginx_status import FINDINGS, FINDINGS_FOLDER, FOLDER
from ops.doctor.findings import command, text

DOCUMENT = {
    "stack": "prod",
    "at": "2026-11-27T07:00:00+00:00",
    "hosts": [
        {"host": "registry", "seconds": 1.2, "error": None, "steps": [{"step": "name"}]},
        {"host": "app", "seconds": None, "error": "no answer within 10 s", "steps": []},
    ],
    "findings": [{"cause": "tls-expired", "host": "registry"}],
}


def left(host: Path) -> None:
    moved = command().replace(FOLDER, f"{host}{FOLDER}").replace(FINDINGS_FOLDER, f"{host}{FINDINGS_FOLDER}")
    subprocess.run(["sh", "-c", moved], input=text(DOCUMENT), text=True, check=True)


def test_the_findings_without_the_steps(tmp_path: Path) -> None:
    Path(f"{tmp_path}{FOLDER}").mkdir(parents=True)
    Path(f"{tmp_path}{FINDINGS_FOLDER}").parent.mkdir(parents=True)
    left(tmp_path)
    left(tmp_path)
    file = Path(f"{tmp_path}{FINDINGS}")
    assert json.loads(file.read_text()) == {
        **DOCUMENT,
        "hosts": [{"host": "registry", "error": None}, {"host": "app", "error": "no answer within 10 s"}],
    }
    assert (file.stat().st_mode & 0o777, list(file.parent.iterdir())) == (0o644, [file])


def test_a_host_without_the_page_gets_nothing(tmp_path: Path) -> None:
    left(tmp_path)
    assert list(tmp_path.iterdir()) == []
