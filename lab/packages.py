"""Debian packages of this machine that the lab needs, and the apt settings it hands to the hosts' image."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lab.paths import cache_dir
from lab.process import LabError, run
from lab.progress import step
from toolchain.locking import locked

APT = Path("/etc/apt")
PATIENCE = ("-o", "DPkg::Lock::Timeout=300")
"""Seconds for somebody else's apt, such as an unattended upgrade, to end (apt.conf(5))."""
REMEDY = "Check that apt works on this machine: apt-get update"
ONE_LINE_NAMES = {"architectures": "arch", "languages": "lang", "targets": "target"}
"""The options that a one-line entry calls otherwise than a deb822 stanza; man sources.list has them all."""


def need(programs: Mapping[str, str]) -> None:
    """Install the packages of those programs, or files, that are missing: {program: package}.

    Several processes may need the same at once: apt gives up where another one runs.
    """
    if not (missing := _missing(programs)):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise LabError(f"missing packages: {', '.join(missing)}. Install them, or run as root on Debian.")
    with locked(cache_dir() / "packages.lock", "it is installing packages", sys.stdout):
        if missing := _missing(programs):
            _install(missing)


def _missing(programs: Mapping[str, str]) -> list[str]:
    there = {
        program
        for program in programs
        if shutil.which(program) or (Path(program).is_absolute() and Path(program).exists())
    }
    return sorted({package for program, package in programs.items() if program not in there})


def _install(missing: Iterable[str]) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", *PATIENCE, *missing]
    with step(f"installing {', '.join(missing)}"):
        try:
            run(install, what="installing packages", env=env)
        except LabError:
            run(["apt-get", "update"], what="apt-get update", env=env)
            run(install, what="installing packages", remedy=REMEDY, env=env)


class Source(NamedTuple):
    """One suite of one archive, as an apt source file has it."""

    options: str
    """`name=value` words, as in a one-line entry."""
    uri: str
    suite: str
    components: list[str]

    @property
    def line(self) -> str:
        """The one-line entry for its component main."""
        options = f"[{self.options}] " if self.options else ""
        return f"deb {options}{self.uri} {self.suite} main"


def sources(suite: str) -> list[str]:
    """One-line entries, from this machine's own apt sources, for `suite`, its updates and its security updates.

    None when the machine has no source for the suite itself.
    """
    files = [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*"))]
    parsers = {".list": one_line_sources, ".sources": deb822_sources}
    found = [
        source
        for path in files
        if path.suffix in parsers and path.is_file()
        for source in parsers[path.suffix](path.read_text())
        if "main" in source.components and source.suite in (suite, f"{suite}-updates", f"{suite}-security")
    ]
    if suite not in {source.suite for source in found}:
        return []
    return list(dict.fromkeys(source.line for source in found))


def one_line_sources(text: str) -> Iterator[Source]:
    """The binary package sources of a `.list` file."""
    for line in text.splitlines():
        found = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)\s+([^#]+)", line)
        if found:
            yield Source((found[1] or "").strip(), found[2], found[3], found[4].split())


def deb822_sources(text: str) -> Iterator[Source]:
    """The binary package sources of a `.sources` file."""
    lines = (line.rstrip() for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\n+", "\n".join(lines)):
        fields = {name.lower(): value for name, value in re.findall(r"^(\S+?):(.*(?:\n[ \t].*)*)", stanza, re.M)}
        words = {name: fields.pop(name, "").split() for name in ("types", "uris", "suites", "components", "enabled")}
        if "deb" in words["types"] and "no" not in words["enabled"]:
            for uri in words["uris"]:
                for suite in words["suites"]:
                    yield Source(_options(fields), uri, suite, words["components"])


def _options(fields: Mapping[str, str]) -> str:
    """A stanza's options as one-line words. An embedded key has no such form: apt's trusted keys decide without it."""
    return " ".join(
        f"{ONE_LINE_NAMES.get(name, name)}={','.join(value.split())}"
        for name, value in fields.items()
        if not name.startswith("x-") and "-----BEGIN" not in value
    )


def connection_settings(dump: str) -> str:
    """The lines of `apt-config dump` that say how to reach a source: proxy, certificates, date checks."""
    wanted = re.compile(r"Acquire::(http|https|Check-|Retries|ForceIPv)[^\"]*\"[^\"]+\";")
    return "".join(f"{line}\n" for line in dump.splitlines() if wanted.match(line))
