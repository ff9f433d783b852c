"""What is ours in containerd's configuration: hosts.toml files, and two keys of config.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from documents import hosts_toml
from documents.document import Document
from settings.tier import Containerd

PATH = "/etc/containerd/config.toml"


@dataclass(frozen=True)
class ContainerdMirrors:
    """hosts.toml files, and the keys that hostctl puts into the table that this host's containerd reads."""

    files: tuple[Document, ...]
    config_path: str
    max_concurrent_downloads: int | None

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit containerd-mirrors."""
        return {
            "files": [each.as_wish() for each in self.files],
            "config_path": self.config_path,
            "max_concurrent_downloads": self.max_concurrent_downloads,
        }

    def shown(self) -> dict[str, str]:
        """Path to text, for people; config.toml as the keys that are ours."""
        keys = f'config_path = "{self.config_path}"\n'
        if self.max_concurrent_downloads is not None:
            keys += f"max_concurrent_downloads = {self.max_concurrent_downloads}\n"
        return {PATH: keys, **{each.path: each.text for each in self.files}}


def render(wanted: Containerd, mirrors: Mapping[str, str], hosted: Sequence[str]) -> ContainerdMirrors:
    """A hosts.toml for each mirrored and each hosted registry."""
    files = [
        Document(f"{wanted.config_path}/{serves}/hosts.toml", hosts_toml.mirror(url, fallback=wanted.fallback))
        for serves, url in mirrors.items()
    ]
    files += [
        Document(f"{wanted.config_path}/{urlsplit(url).netloc}/hosts.toml", hosts_toml.hosted(url)) for url in hosted
    ]
    return ContainerdMirrors(tuple(files), wanted.config_path, wanted.max_concurrent_downloads)
