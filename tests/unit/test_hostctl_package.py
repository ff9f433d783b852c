"""Decides: the zipapp is the same bytes each time, runs without this checkout, and answers bad requests in its form."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hostctl import package
from hostctl.units import UNITS


@pytest.fixture(scope="module")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("zipapp") / "hostctl.pyz"
    package.build(target)
    return target


def run(zipapp: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The zipapp as a host runs it: with the standard library and nothing else."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(zipapp), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )


def test_it_is_the_same_bytes_each_time(zipapp: Path, tmp_path: Path) -> None:
    digest = package.build(tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == zipapp.read_bytes()
    assert digest == hashlib.sha256(zipapp.read_bytes()).hexdigest()


def test_it_holds_sources_and_tomlkit_and_not_the_builder(zipapp: Path) -> None:
    names = zipfile.ZipFile(zipapp).namelist()
    assert {"__main__.py", "hostctl/transaction.py", "tomlkit/__init__.py"} <= set(names)
    assert "hostctl/package.py" not in names
    assert all(name.endswith(".py") for name in names)


@pytest.mark.parametrize("slow", ["dataclasses", "inspect", "shutil", "tomlkit", "hostctl.trials"])
def test_containerds_unit_loads_nothing_slow_that_few_hosts_need(zipapp: Path, slow: str) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(zipapp)!r})\n"
        "import hostctl.__main__\n"
        "from hostctl.units import unit_named\n"
        "unit_named('containerd-mirrors')\n"
        f"print({slow!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_every_unit_can_be_imported_from_it(zipapp: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(zipapp)!r})\n"
        "from hostctl.units import UNITS, unit_named\n"
        "import tomlkit\n"
        "print(*[unit_named(name).name for name in UNITS], tomlkit.__file__)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith(" ".join(UNITS))
    assert str(zipapp) in done.stdout


@pytest.mark.parametrize(
    ("request_text", "error"),
    [
        ("", "the request on stdin must be JSON"),
        ("[]", "the request on stdin must be JSON"),
        ('{"unit": "docker-mirrors", "wish": 3}', "the request on stdin must be JSON"),
        ('{"unit": "nonsense"}', "unit 'nonsense': there is none of that name; known: authorities, buildkit-mirrors"),
    ],
)
def test_a_bad_request_is_a_report_and_one_line(zipapp: Path, request_text: str, error: str) -> None:
    done = run(zipapp, "observe", stdin=request_text)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["result"] == "failed"
    assert report["rolled_back"] is True
    assert error in report["error"]
    assert error in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unknown_action_shows_the_usage(zipapp: Path) -> None:
    done = run(zipapp, "destroy")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: hostctl apply|confirm|remove|")
