"""The program's configuration, as documents/offline_sync.py renders it, and the logins beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from offline_sync.failure import Failure
from offline_sync.registry import Registry


@dataclass(frozen=True)
class Wanted:
    """An entry of the list: see settings/offline_sync.py."""

    registry: str
    repository: str
    tags: Tuple[str, ...]
    digests: Tuple[str, ...]
    platforms: Optional[Tuple[str, ...]]


@dataclass(frozen=True)
class Server:
    """A registry. `ca`: PEM or empty. `volume`: of this host's Docker, that keeps its images; empty where that is not
    known."""

    url: str
    ca: str = ""
    volume: str = ""


@dataclass(frozen=True)
class Config:
    """`name`: whose bundle it is. `sources`, `targets`: by the registry's name in image references. `logins`: base64 of
    user and password, by host and port. `state`: the folder of what was loaded. `tar`: written beside the folder, or
    empty."""

    name: str
    folder: Path
    tar: str
    state: Path
    images: Tuple[Wanted, ...]
    sources: Mapping[str, Server]
    targets: Mapping[str, Server]
    logins: Mapping[str, str]

    def client(self, server: Server) -> Registry:
        """What asks it."""
        return Registry(server.url, server.ca, self.logins.get(urlsplit(server.url).netloc, ""))


def read(path: Path) -> Config:
    """Raises Failure."""
    try:
        data: Mapping[str, Any] = json.loads(path.read_text())
        auth = Path(data["auth"])
        if not auth.exists():  # beside a configuration that is still on trial
            auth = path.with_name(auth.name)
        logins = {name: each["auth"] for name, each in json.loads(auth.read_text())["auths"].items()}
        return Config(
            data["name"],
            Path(data["folder"]),
            data["tar"],
            Path(data["state"]),
            tuple(_wanted(each) for each in data["images"]),
            {name: Server(**each) for name, each in data["sources"].items()},
            {name: Server(**each) for name, each in data["targets"].items()},
            logins,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise Failure(f"{path}: {type(wrong).__name__}: {wrong}") from None


def _wanted(each: Mapping[str, Any]) -> Wanted:
    platforms = each["platforms"]
    return Wanted(
        each["registry"],
        each["repository"],
        tuple(each["tags"]),
        tuple(each["digests"]),
        None if platforms is None else tuple(platforms),
    )
