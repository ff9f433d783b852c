"""Whether the official `pulumi` and plugins are there or can be fetched; they are used where they are."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TextIO

from toolchain.build import is_ours
from toolchain.paths import Paths
from toolchain.progress import Progress

INSTALL_SECONDS: Final = 180
"""How long one plugin may take: some 20 MB over a slow line, or a connection that never answers."""
RETRY_SECONDS: Final = 6 * 60 * 60
"""How long a failed install isn't tried again."""


def official_pulumi(path: str) -> Path | None:
    """The first `pulumi` on `path` that wasn't built here."""
    for folder in path.split(os.pathsep):
        found = shutil.which("pulumi", path=folder) if folder else None
        if found and not is_ours(Path(found)):
            return Path(found)
    return None


def plugin_installed(home: Path, name: str, version: str) -> bool:
    """Whether the plugin lies complete in `home` (a `.partial` file marks an install that was cut off)."""
    folder = home / "plugins" / f"resource-{name}-v{version}"
    partial = folder.with_name(f"{folder.name}.partial")
    return not partial.exists() and (folder / f"pulumi-resource-{name}").exists()


def official_plugins(
    pulumi: Path, places: Paths, versions: Mapping[str, str], out: TextIO, try_again: bool = False
) -> bool:
    """Whether all plugins are installed; tries to install those that aren't, within `INSTALL_SECONDS` each.

    A try that failed lately is not repeated, unless with `try_again`.
    """
    missing = [name for name in versions if not plugin_installed(places.user_home, name, versions[name])]
    memory = places.cache / "official-plugins.json"
    attempt = f"{pulumi} {' '.join(f'{name}@{versions[name]}' for name in missing)}"
    if missing and not try_again and failed_lately(memory, attempt, time.time()):
        return False
    for name in missing:
        if not _install(pulumi, places, name, versions[name], out):
            places.cache.mkdir(parents=True, exist_ok=True)
            memory.write_text(json.dumps({"attempt": attempt, "failed": time.time()}))
            return False
    return True


def failed_lately(memory: Path, attempt: str, now: float) -> bool:
    """Whether the same attempt failed within `RETRY_SECONDS`."""
    try:
        last = json.loads(memory.read_text())
        return bool(last["attempt"] == attempt and now - last["failed"] < RETRY_SECONDS)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _install(pulumi: Path, places: Paths, name: str, version: str, out: TextIO) -> bool:
    command = [str(pulumi), "plugin", "install", "resource", name, version]
    environment = {**os.environ, "PULUMI_HOME": str(places.user_home), "PULUMI_SKIP_UPDATE_CHECK": "1"}
    try:
        with Progress(f"installing the official plugin {name} {version}", out):
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            try:
                output, _ = process.communicate(timeout=INSTALL_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                raise InstallFailed(f"no answer within {INSTALL_SECONDS} s") from None
            if process.returncode:
                raise InstallFailed((output.strip().splitlines() or ["no message"])[-1])
    except (InstallFailed, OSError) as failure:
        print(f"the official plugin {name} {version} can't be installed: {failure}", file=out, flush=True)
        return False
    return True


class InstallFailed(Exception):
    """An official plugin can't be had."""
