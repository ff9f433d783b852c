"""What is ours in containerd's configuration: hosts.toml files, and keys of config.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from documents import hosts_toml
from documents.document import Document
from hostctl.hosts_toml import folder
from settings.tier import Containerd

PATH = "/etc/containerd/config.toml"


@dataclass(frozen=True)
class ContainerdMirrors:
    """hosts.toml files, and the keys that hostctl puts into the tables that this host's containerd reads."""

    files: tuple[Document, ...]
    settings: Containerd

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit containerd-mirrors."""
        return {
            "files": [each.as_wish() for each in self.files],
            "config_path": self.settings.config_path,
            "max_concurrent_downloads": self.settings.max_concurrent_downloads,
            "debug": self.settings.debug,
            "migrate_deprecated": self.settings.migrate_deprecated,
        }

    def shown(self) -> dict[str, str]:
        """Path to text, for people; config.toml as the keys that are ours."""
        keys = f'config_path = "{self.settings.config_path}"\n'
        if self.settings.max_concurrent_downloads is not None:
            keys += f"max_concurrent_downloads = {self.settings.max_concurrent_downloads}\n"
        if self.settings.debug:
            keys += 'debug.level = "debug"\n'
        return {PATH: keys, **{each.path: each.text for each in self.files}}


def render(wanted: Containerd, mirrors: Mapping[str, str], hosted: Sequence[str]) -> ContainerdMirrors:
    """A hosts.toml for each mirrored and each hosted registry; this tier's own mirrors are asked first."""
    endpoints = {serves: [url] for serves, url in mirrors.items()}
    for each in wanted.mirrors:
        endpoints.setdefault(each.serves, []).extend(each.endpoints)
    texts = {urlsplit(url).netloc: hosts_toml.hosted(url, *endpoints.pop(urlsplit(url).netloc, [])) for url in hosted}
    texts = {serves: hosts_toml.mirror(*urls, fallback=wanted.fallback) for serves, urls in endpoints.items()} | texts
    files = [Document(f"{wanted.config_path}/{folder(name)}/hosts.toml", text) for name, text in texts.items()]
    return ContainerdMirrors(tuple(files), wanted)
