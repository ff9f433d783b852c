"""Decides that what runs on hosts does so with Python 3.9: it loads; and config.toml is edited there, where Python has
no tomllib, as it is elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from hostctl import package
from tests.programs import on_python_39
from tests.programs.python_39 import told

PROJECT = Path(__file__).parents[2]
BESIDE = (
    "adopt",
    "doctor",
    "garbage_collection",
    "offline_sync",
    "origin",
    "proxy_alive",
    "pull_metrics",
    "status_page",
)
"""What runs there besides hostctl."""
CORPUS = sorted((PROJECT / "tests/cases/containerd_corpus").glob("*/*.toml"))
WISHES: list[dict[str, Any]] = [
    {"config_path": "/etc/containerd/certs.d"},
    {
        "config_path": "/etc/containerd/certs.d",
        "downloads": 10,
        "debug": True,
        "migrate_deprecated": True,
        "logins": [["r.example", "u", "p"]],
        "metrics": "127.0.0.1:1338",
    },
]


@pytest.fixture(scope="module")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("zipapp") / "hostctl.pyz"
    package.build(target)
    return target


def test_all_that_runs_on_hosts_loads(zipapp: Path) -> None:
    files = ZipFile(zipapp).namelist()
    files += [str(each.relative_to(PROJECT)) for package in BESIDE for each in (PROJECT / package).rglob("*.py")]
    modules = [each.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for each in files]
    wanted = [each for each in modules if each.rpartition(".")[2] != "__main__"]
    assert len(wanted) > 200
    assert told("loaded", {"path": [str(zipapp), str(PROJECT)], "modules": wanted}) == [3, 9]


def test_a_config_toml_is_edited_as_with_a_newer_one(zipapp: Path) -> None:
    job = {"path": [str(zipapp)], "texts": [each.read_bytes().decode("latin-1") for each in CORPUS], "wishes": WISHES}
    assert told("merged", job) == json.loads(json.dumps(on_python_39.merged(job)))
