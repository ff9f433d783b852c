"""A registry of a site with a network, one of a site without, and the program between them, as a host runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from settings.registries import HostedRegistry
from tests.checkout import REAL
from tests.programs.registry_process import serving
from tests.programs.skopeo import ensure_skopeo
from tests.registry_client import Client

NAME = "docker.io"


@dataclass
class World:
    """`images`: the list. `ca`: who has signed the target's certificate, as PEM. `said`: what the last command printed,
    both ways."""

    folder: Path
    source: Client
    target: Client
    images: list[dict[str, Any]] = field(default_factory=list)
    tar: str = ""
    ca: str = ""
    volume: str = ""
    logins: dict[str, Any] = field(default_factory=dict)
    said: str = ""

    @property
    def bundle(self) -> Path:
        """Its folder."""
        return self.folder / "bundle"

    def config(self) -> Path:
        """As documents/offline_sync.py renders it."""
        whole = {
            "name": "site",
            "auth": str(self.folder / "auth.json"),
            "folder": str(self.bundle),
            "tar": self.tar,
            "state": str(self.folder / "state"),
            "images": [{"tags": [], "digests": [], "platforms": None, **each} for each in self.images],
            "sources": {NAME: {"url": self.source.url}},
            "targets": {NAME: {"url": self.target.url, "ca": self.ca, "volume": self.volume}},
        }
        (self.folder / "config.json").write_text(json.dumps(whole))
        (self.folder / "auth.json").write_text(json.dumps({"auths": self.logins}))
        return self.folder / "config.json"

    def run(self, command: str, *more: object, status: int = 0) -> str:
        """What the program prints; another exit status fails the test."""
        given = [self.config()] if command != "verify" else []
        arguments: list[str | Path] = [
            sys.executable,
            "-I",
            "-B",
            REAL / "offline_sync",
            command,
            *given,
            *map(str, more),
        ]
        done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.said = str(done.stdout)
        assert done.returncode == status, self.said
        assert "Traceback" not in self.said
        return self.said

    def want(self, repository: str, *tags: str, **more: Any) -> None:
        """An entry of the list."""
        self.images.append({"registry": NAME, "repository": repository, "tags": list(tags), **more})


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Both registries serving, empty."""
    ensure_skopeo()
    registry = HostedRegistry(kind="hosted", name="hosted", host="here")
    (folder / "source").mkdir()
    (folder / "target").mkdir(exist_ok=True)
    with serving(folder / "source", registry) as source, serving(folder / "target", registry) as target:
        yield World(folder, source, target)
