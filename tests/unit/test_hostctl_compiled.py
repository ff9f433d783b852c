"""Decides: a zipapp's second call compiles nothing, and what is kept of another zipapp or Python counts for nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hostctl import package

COMPILING = """
import sys
sys.path.insert(0, sys.argv[1])
from hostctl import compiled
asked = []
import zipimport
real = zipimport._compile_source
zipimport._compile_source = lambda path, source: (asked.append(path), real(path, source))[1]
kept = compiled.installed(sys.argv[1])
import hostctl.transaction, hostctl.units, tomlkit
kept.keep()
print(len(asked), len(set(asked)), hostctl.transaction.__file__)
"""


@pytest.fixture
def zipapp(tmp_path: Path) -> Path:
    package.build(tmp_path / "hostctl.pyz")
    return tmp_path / "hostctl.pyz"


def compiled_by(zipapp: Path) -> tuple[int, int]:
    """How many modules a call has compiled, and how many different ones."""
    command = [sys.executable, "-I", "-S", "-c", COMPILING, str(zipapp)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    often, modules, file = done.stdout.split()
    assert file == f"{zipapp}/hostctl/transaction.py"
    return int(often), int(modules)


def test_the_first_call_compiles_each_module_once_and_the_next_none(zipapp: Path) -> None:
    often, modules = compiled_by(zipapp)
    assert often == modules > 20
    assert compiled_by(zipapp) == (0, 0)
    file = zipapp.with_name("hostctl.pyz.compiled")
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(zipapp.parent.iterdir()) == [zipapp, file]


@pytest.mark.parametrize("damage", ["cut", "garbage", "another zipapp", "another Python"])
def test_what_is_not_for_this_zipapp_is_compiled_anew(zipapp: Path, damage: str) -> None:
    first = compiled_by(zipapp)
    file = zipapp.with_name("hostctl.pyz.compiled")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    elif damage == "garbage":
        content = bytearray(file.read_bytes())
        content[3000:3100] = bytes(100)
        file.write_bytes(content)
    elif damage == "another Python":
        file.write_bytes(file.read_bytes().replace(sys.version.encode(), sys.version[::-1].encode()))
    else:
        os.utime(zipapp, (1, 1))
    assert compiled_by(zipapp) == first
    assert compiled_by(zipapp) == (0, 0)


def test_a_folder_that_is_full_or_gone_is_no_failure(zipapp: Path) -> None:
    zipapp.with_name("hostctl.pyz.compiled").mkdir()
    done = subprocess.run(
        [sys.executable, str(zipapp), "observe"], input="{}", capture_output=True, text=True, check=False
    )
    assert "there is none of that name" in done.stdout
    assert "Traceback" not in done.stderr
