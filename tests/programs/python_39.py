"""Debian 11's Python 3.9, the oldest that hosts may have."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from lab import hostimage
from lab.process import run
from tests.programs import on_python_39
from tests.programs.debian_packages import unpacked

SUITE = "bullseye"
DEBIAN = f"deb http://deb.debian.org/debian {SUITE} main"
PACKAGES = ("python3.9-minimal", "libpython3.9-minimal", "libpython3.9-stdlib", "libssl1.1", "libffi7", "libmpdec3")
PROGRAM = Path(on_python_39.__file__)
LIBRARIES = ("usr/lib/*-linux-gnu", "lib/*-linux-gnu")


def told(what: str, job: Any) -> Any:
    """What it says to a job for on_python_39.py."""
    root = unpacked("python3.9", PACKAGES, _download)
    libraries = [str(each) for pattern in LIBRARIES for each in root.glob(pattern)]
    done = subprocess.run(
        [root / "usr/bin/python3.9", "-I", "-S", "-B", PROGRAM, what],
        input=json.dumps(job), capture_output=True, text=True, check=False,
        env={"LD_LIBRARY_PATH": ":".join(libraries), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _download(folder: Path) -> None:
    """By an apt that knows of nothing but that suite, from where this machine has its own."""
    own = f" {hostimage.SUITE} "
    found = [each.replace(own, f" {SUITE} ") for each in hostimage.own_sources() if own in each]
    (folder / "sources").write_text("".join(f"{each}\n" for each in found or [DEBIAN]))
    (folder / "status").touch()
    for each in ("lists", "archives"):
        (folder / each / "partial").mkdir(parents=True)
    settings = {
        "Dir::Etc::sourcelist": folder / "sources",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache::archives": folder / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Sandbox::User": "root",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    for command in (["update"], ["download", *PACKAGES]):
        run(["apt-get", "-qq", *options, *command], what=f"apt-get {command[0]} of {SUITE}", cwd=folder)
