"""Which `pulumi` runs here, and the environment it runs in.

The official engine is used wherever it and its plugins are installed or install themselves. Behind package
mirrors only, where no release page can be reached, the engine is built from Go modules and the plugins are the
project's own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TextIO

from toolchain.build import built_engine, pinned_version
from toolchain.errors import EngineError
from toolchain.official import official_plugins, official_pulumi
from toolchain.paths import Paths, paths
from toolchain.plugin_install import install_plugins, plugin_versions

CHOICE: Final = "HTTP_REGISTRY_ENGINE"
"""Set to `official` or `built` to have that one or an error; otherwise the official one where it works."""

PYTHON: Final = "PULUMI_PYTHON_CMD"
"""What the language host runs as `python`."""


@dataclass(frozen=True)
class Engine:
    """An engine that is ready to run."""

    kind: Literal["official", "built"]
    pulumi: Path
    version: str
    plugins: Mapping[str, str]
    """Plugin -> version."""
    environment: Mapping[str, str] = field(repr=False)
    """The variables to set for every `pulumi` command; the rest of the environment stays."""

    def line(self) -> str:
        """One line for a person: which engine and plugins are in use."""
        plugins = ", ".join(f"{name} {version}" for name, version in self.plugins.items())
        how = "official" if self.kind == "official" else "built from Go modules, offline plugins"
        return f"pulumi {self.version} ({how}): {self.pulumi}; plugins {plugins}"


def ensure_engine(environment: Mapping[str, str] | None = None, out: TextIO | None = None) -> Engine:
    """Make sure that an engine is there, and say which. Progress goes to `out` (stderr by default).

    The first run may build for minutes; every later one only looks. Raises `EngineError`.
    """
    env = os.environ if environment is None else environment
    stream = sys.stderr if out is None else out
    places = paths(env)
    versions = plugin_versions(places.plugins)
    choice = env.get(CHOICE, "")
    if choice not in ("", "official", "built"):
        raise EngineError(f"{CHOICE}={choice}: must be `official` or `built`; unset it to have the one that works")
    if choice != "built":
        pulumi = official_pulumi(env.get("PATH", ""))
        if pulumi is not None and official_plugins(pulumi, places, versions, stream, try_again=choice == "official"):
            return _official(pulumi, places, versions, env)
        if choice == "official":
            raise EngineError(
                f"{CHOICE}=official, but "
                + ("no official `pulumi` is on PATH" if pulumi is None else "its plugins can't be installed")
                + f"; install it (https://www.pulumi.com/docs/install), or unset {CHOICE} to have it built"
            )
    return _built(places, versions, env, stream)


def engine_environment(engine: Engine | None = None) -> dict[str, str]:
    """This process's environment with what `engine` (ensured, if None is given) needs: for `subprocess`."""
    return {**os.environ, **(engine or ensure_engine()).environment}


def restore_interrupt() -> None:
    """Undo an ignored SIGINT, for this process and those that it starts; call it before running `pulumi`.

    A script's background jobs ignore SIGINT, and so would the language host, which the engine ends with just that:
    each command then waits 5 s for it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _official(pulumi: Path, places: Paths, versions: Mapping[str, str], env: Mapping[str, str]) -> Engine:
    answer = subprocess.run([str(pulumi), "version"], capture_output=True, text=True, check=False)
    variables = {
        "PATH": search_path(env.get("PATH", ""), places.venv_bin),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
    }
    if env.get("PULUMI_HOME") == str(places.pulumi_home):
        variables["PULUMI_HOME"] = str(places.user_home)
    if env.get(PYTHON) == str(_host_python(places)):
        variables[PYTHON] = ""
    return Engine("official", pulumi, answer.stdout.strip(), versions, variables)


def _built(places: Paths, versions: Mapping[str, str], env: Mapping[str, str], out: TextIO) -> Engine:
    folder = built_engine(places, out)
    pulumi = folder / "pulumi"
    install_plugins(places, pulumi, versions, out)
    return Engine(
        kind="built",
        pulumi=pulumi,
        version=pinned_version(places.go / "cli"),
        plugins=versions,
        environment={
            "PATH": search_path(env.get("PATH", ""), places.venv_bin, folder),
            "PULUMI_HOME": str(places.pulumi_home),
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            PYTHON: str(_host_python(places)),
        },
    )


def _host_python(places: Paths) -> Path:
    return places.checkout / "toolchain" / "language_host" / "python"


def search_path(path: str, *first: Path) -> str:
    """`path` with the folders `first` in front, each once: doing it twice is doing it once."""
    front = [str(folder) for folder in first]
    rest = [folder for folder in path.split(os.pathsep) if folder and folder not in front]
    return os.pathsep.join((*front, *rest))
