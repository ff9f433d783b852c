"""Debian packages of this machine that the lab needs, and the apt settings it hands to the hosts' image."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from lab.process import LabError, run
from lab.progress import step

APT = Path("/etc/apt")
REMEDY = "Check that apt works on this machine: apt-get update"


def need(programs: dict[str, str]) -> None:
    """Install the packages of those programs, or files, that are missing: {program: package}."""
    there = {
        program
        for program in programs
        if shutil.which(program) or (Path(program).is_absolute() and Path(program).exists())
    }
    missing = sorted({package for program, package in programs.items() if program not in there})
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise LabError(f"missing packages: {', '.join(missing)}. Install them, or run as root on Debian.")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    with step(f"installing {', '.join(missing)}"):
        try:
            run(install, what="installing packages", env=env)
        except LabError:
            run(["apt-get", "update"], what="apt-get update", env=env)
            run(install, what="installing packages", remedy=REMEDY, env=env)


def is_debian_source(text: str, suite: str) -> bool:
    """Whether an apt source file names only `suite` (and its updates and security) with component main."""
    deb822 = re.findall(r"^Suites:(.*)$", text, re.M | re.I)
    if deb822:
        components = re.findall(r"^Components:(.*)$", text, re.M | re.I)
        suites = {word for line in deb822 for word in line.split()}
        parts = {word for line in components for word in line.split()}
    else:
        lines = re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?\S+\s+(\S+)\s+(.*)$", text, re.M)
        suites = {found for found, _ in lines}
        parts = {word for _, words in lines for word in words.split()}
    return bool(suites) and suites <= {suite, f"{suite}-updates", f"{suite}-security"} and "main" in parts


def sources(suite: str) -> list[str]:
    """This machine's own apt source files for `suite`; none when the machine runs something else."""
    files = [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*"))]
    readable = [path for path in files if path.suffix in (".list", ".sources") and path.is_file()]
    return [str(path) for path in readable if is_debian_source(path.read_text(), suite)]


def connection_settings(dump: str) -> str:
    """The lines of `apt-config dump` that say how to reach a source: proxy, certificates, date checks."""
    wanted = re.compile(r"Acquire::(http|https|Check-|Retries|ForceIPv)[^\"]*\"[^\"]+\";")
    return "".join(f"{line}\n" for line in dump.splitlines() if wanted.match(line))
