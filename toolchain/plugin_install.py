"""Installs the offline plugins into this checkout's own Pulumi home, anew only when their files changed."""

from __future__ import annotations

import compileall
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from toolchain.errors import EngineError
from toolchain.locking import locked
from toolchain.paths import Paths
from toolchain.plugins.shared.plugin import sdk_version


def plugin_versions(plugins: Path) -> dict[str, str]:
    """Each plugin in `plugins`, with the version that its installed SDK package asks for."""
    names = sorted(manifest.parent.name for manifest in plugins.glob("*/PulumiPlugin.yaml"))
    return {name: sdk_version(name) for name in names}


def staged_files(plugins: Path, name: str) -> dict[str, Path]:
    """What the installed folder of plugin `name` holds: path within it -> file of the checkout."""
    # Without PulumiPlugin.yaml: given that, the engine makes a venv in the folder and upgrades pip over the net.
    files = {top: plugins / name / top for top in ("__main__.py", f"pulumi-resource-{name}")}
    package = plugins.parent
    for module in (package / "__init__.py", plugins / "__init__.py", *_modules(plugins, "shared", name)):
        files[str(Path("toolchain") / module.relative_to(package))] = module
    return files


def _modules(plugins: Path, *folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((plugins / folder).rglob("*.py"))


def files_hash(files: Mapping[str, Path]) -> str:
    """Names the content of `files`."""
    digest = hashlib.sha256()
    for path, file in sorted(files.items()):
        digest.update(f"{path}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def install_plugins(places: Paths, pulumi: Path, versions: Mapping[str, str], out: TextIO) -> None:
    """Install each plugin whose files aren't the ones installed."""
    stale = [name for name in versions if not _current(places, name, versions[name])]
    if not stale:
        return
    with locked(places.pulumi_home / "install.lock", "offline plugins are being installed", out):
        for name in stale:
            if not _current(places, name, versions[name]):
                _install(places, pulumi, name, versions[name])
                print(f"installed the offline plugin {name} {versions[name]}", file=out, flush=True)


def _folder(places: Paths, name: str, version: str) -> Path:
    return places.pulumi_home / "plugins" / f"resource-{name}-v{version}"


def _record(places: Paths, name: str, version: str) -> Path:
    return places.pulumi_home / f"offline-{name}-{version}.sha256"


def _current(places: Paths, name: str, version: str) -> bool:
    folder = _folder(places, name, version)
    record = _record(places, name, version)
    if not folder.is_dir() or not record.exists():
        return False
    return record.read_text() == files_hash(staged_files(places.plugins, name))


def _install(places: Paths, pulumi: Path, name: str, version: str) -> None:
    files = staged_files(places.plugins, name)
    record = _record(places, name, version)
    record.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="http-registry-plugin-") as stage:
        for path, file in files.items():
            target = Path(stage) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        result = subprocess.run(
            [
                str(pulumi),
                "plugin",
                "install",
                "resource",
                name,
                version,
                "--file",
                stage,
                "--reinstall",
                "--non-interactive",
            ],
            env={
                **os.environ,
                "PATH": os.pathsep.join((str(places.venv_bin), str(pulumi.parent), os.environ.get("PATH", ""))),
                "PULUMI_HOME": str(places.pulumi_home),
                "PULUMI_SKIP_UPDATE_CHECK": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode:
        raise EngineError(
            f"the offline plugin {name} {version} can't be installed into {places.pulumi_home}:\n"
            f"{result.stdout}{result.stderr}Delete that folder and run this again."
        )
    # Now, since a plugin is started by each command, also where Python is told to keep no compiled files.
    compileall.compile_dir(_folder(places, name, version), quiet=1)
    record.write_text(files_hash(files))
