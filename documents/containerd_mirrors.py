"""What is ours in containerd's configuration: hosts.toml files, and keys of config.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from documents import hosts_toml
from documents.access import Access, authorizations
from documents.document import Document
from hostctl.hosts_toml import folder
from hostctl.units.containerd_mirrors import LOGIN
from settings.peer import Peer, stands_before
from settings.runtimes import Containerd

PATH = "/etc/containerd/config.toml"
NONE: Mapping[str, str] = {}
HOSTS = {"docker.io": "registry-1.docker.io"}
"""Servers that have another name than their registry: the CRI's logins go by the server."""


@dataclass(frozen=True)
class ContainerdMirrors:
    """hosts.toml files, and the keys that hostctl puts into the tables that this host's containerd reads.

    `logins`: those that go into config.toml. `canaries`: a digest by the registry whose mirror is to be proved.
    `metrics`: where it tells its own figures; empty: as the host has it.
    """

    files: tuple[Document, ...]
    settings: Containerd
    logins: Sequence[Mapping[str, str]]
    canaries: Mapping[str, str]
    metrics: str = ""

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit containerd-mirrors."""
        return {
            "files": [each.as_wish() for each in self.files],
            "config_path": self.settings.config_path,
            "max_concurrent_downloads": self.settings.max_concurrent_downloads,
            "logins": list(self.logins),
            "debug": self.settings.debug,
            "migrate_deprecated": self.settings.migrate_deprecated,
            "canaries": dict(self.canaries),
            **({"metrics": self.metrics} if self.metrics else {}),
        }

    def shown(self) -> dict[str, str]:
        """Path to text, for people; config.toml as the keys that are ours."""
        keys = f'config_path = "{self.settings.config_path}"\n'
        if self.settings.max_concurrent_downloads is not None:
            keys += f"max_concurrent_downloads = {self.settings.max_concurrent_downloads}\n"
        keys += "".join(f'registry.configs."{each["registry"]}"{LOGIN}{each["user"]}\n' for each in self.logins)
        if self.settings.migrate_deprecated:
            keys += "# The deprecated tables of registries move to hosts.toml.\n"
        if self.settings.debug:
            keys += 'debug.level = "debug"\n'
        if self.metrics:
            keys += f'metrics.address = "{self.metrics}"\n'
        return {PATH: keys, **{each.path: each.text for each in self.files}}


def render(
    wanted: Containerd,
    mirrors: Mapping[str, str],
    hosted: Sequence[str],
    *,
    passwords: Mapping[str, str] = NONE,
    cas: Mapping[str, str] = NONE,
    canaries: Mapping[str, str] = NONE,
    metrics: str = "",
    peer: Peer | None = None,
) -> ContainerdMirrors:
    """A hosts.toml for each mirrored and each hosted registry; this tier's own mirrors are asked first.

    `passwords`: by the names of their secrets. `cas`: a CA's file on the host by the server that it is for. `peer`: who
    is asked before all mirrors.
    """
    headers = [each for each in wanted.logins if each.by == "header"]
    access = Access(authorizations(headers, passwords), cas)
    endpoints = {serves: [url] for serves, url in mirrors.items()}
    for each in wanted.mirrors:
        endpoints.setdefault(each.serves, []).extend(each.endpoints)
    logins = [each.registry for each in wanted.logins]

    def before(name: str, urls: Sequence[str]) -> Peer | None:
        return stands_before(peer, name, [urlsplit(url).netloc for url in urls], logins)

    own = {}
    for url in hosted:
        name = urlsplit(url).netloc
        more = endpoints.pop(name, [])
        own[name] = hosts_toml.hosted(url, *more, access=access, peer=before(name, more))
    texts = {
        name: hosts_toml.mirror(*urls, fallback=wanted.fallback, access=access, peer=before(name, urls))
        for name, urls in endpoints.items()
    } | own
    for login in headers:
        # A registry of somebody else that is nobody's mirror has no hosts.toml yet to say it in.
        if login.registry not in texts and not any(_asks(login.registry, urls) for urls in endpoints.values()):
            texts[login.registry] = hosts_toml.hosted(f"https://{login.registry}", access=access)
    return ContainerdMirrors(
        tuple(hosts_toml.document(f"{wanted.config_path}/{folder(name)}", text) for name, text in texts.items()),
        wanted,
        [
            {"registry": HOSTS.get(each.registry, each.registry), "user": each.user, "password": passwords[each.secret]}
            for each in wanted.logins
            if each.by == "cri"
        ],
        canaries,
        metrics,
    )


def _asks(server: str, urls: Sequence[str]) -> bool:
    return server in (urlsplit(url).netloc for url in urls)
