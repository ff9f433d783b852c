"""Debian's cloud-init, not installed, or it would set up this machine at its next boot: its packages are unpacked."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

from tests.programs.debian_packages import unpacked

PACKAGES = (
    "cloud-init",
    "python3-attr",
    "python3-certifi",
    "python3-chardet",
    "python3-configobj",
    "python3-idna",
    "python3-jinja2",
    "python3-json-pointer",
    "python3-jsonpatch",
    "python3-jsonschema",
    "python3-markupsafe",
    "python3-netifaces",
    "python3-oauthlib",
    "python3-pyrsistent",
    "python3-requests",
    "python3-serial",
    "python3-six",
    "python3-urllib3",
    "python3-yaml",
)
LIBRARY = "usr/lib/python3/dist-packages"
PYTHON = "/usr/bin/python3"
"""Debian's own, for which its packages are."""
COMMAND = (PYTHON, "-m", "cloudinit.cmd.main")
OWN = ("etc", "home", "root", "run", "usr/local/lib", "var/cache", "var/lib", "var/log")
"""The folders that a machine of a test has to itself."""
MODULES = "/mnt"
ACCOUNT = "ci:x:1500:1500::/home/ci:/bin/sh\n"
"""One that the machine has besides this one's."""


@cache
def library() -> Path:
    """Where its modules are."""
    return unpacked("cloud-init", PACKAGES, _download) / LIBRARY


def _download(folder: Path) -> None:
    command = ["apt-get", "download", "-qq", *PACKAGES]
    if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode != 0:
        subprocess.run(["apt-get", "update", "-qq"], check=True, capture_output=True)
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


def schema(document: Path) -> str:
    """What `cloud-init schema` says; empty where the document is right."""
    command = [*COMMAND, "schema", "-c", str(document)]
    done = subprocess.run(command, env=_environment(str(library())), capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def write_files(document: Path, machine: Path) -> None:
    """Have cloud-init write a document's files, the deferred ones too, on a machine whose own folders are below
    `machine`: this one's, in a mount namespace."""
    for each in OWN:
        (machine / each).mkdir(parents=True, exist_ok=True)
    (machine / "etc/cloud").mkdir()
    (machine / "etc/cloud/cloud.cfg").write_text("datasource_list: [None]\n")
    (machine / "etc/passwd").write_text(Path("/etc/passwd").read_text() + ACCOUNT)
    (machine / "etc/group").write_text(Path("/etc/group").read_text() + "ci:x:1500:\n")
    # The modules first: where they are may be in one of the folders.
    places = {library(): MODULES, **{machine / each: f"/{each}" for each in OWN}}
    mounts = "; ".join(f"mount --bind {source} {target}" for source, target in places.items())
    run = " ".join([*COMMAND, "--file", str(document), "single", "--frequency", "always", "--name"])
    script = f"set -e; {mounts}; for name in write_files write_files_deferred; do {run} $name; done"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    done = subprocess.run(command, env=_environment(MODULES), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _environment(modules: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": modules, "PYTHONDONTWRITEBYTECODE": "1"}
