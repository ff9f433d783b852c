"""Debian packages unpacked into the cache: nothing of them is installed."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from lab.cache import cached, entry


def unpacked(name: str, packages: Iterable[str], download: Callable[[Path], None]) -> Path:
    """What is in them. `download`: puts them into a folder, where the cache has nothing of that name."""

    def build(made: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            download(Path(folder))
            for package in Path(folder).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", package, made], check=True)

    return cached(entry(name, packages), build)
