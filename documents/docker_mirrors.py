"""What is ours in Docker's configuration: keys of daemon.json, and hosts.toml files.

Which of them count is known on the host only. Sources: docs.docker.com/reference/cli/dockerd, whose `registry-mirrors`
counts for docker.io only, and docs.docker.com/engine/daemon/configure-registry: Docker with the containerd image store
reads hosts.toml, and where that names two endpoints, not daemon.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from documents import docker_relay, hosts_toml
from documents.access import Access, authorizations
from documents.docker_relay import DockerRelay
from documents.document import Document
from settings.peer import Peer, stands_before
from settings.runtimes import Docker

PATH = "/etc/docker/daemon.json"
CERTS = "/etc/docker/certs.d"
DOCKER_HUB = "docker.io"
WITH_HOSTS_TOML = "Docker 28 and newer with the containerd image store"
NONE: Mapping[str, str] = {}


@dataclass(frozen=True)
class DockerMirrors:
    """Both forms of the same mirrors: hostctl takes the one that the host's Docker reads.

    `mirrors`: a mirror's URL by the registry that it stands for. `insecure`: what is spoken to over HTTP by its own
    name; logins need that in daemon.json on every Docker. `relay`: where docker.io's mirror asks for a login that only
    hosts.toml could say. `canaries`: a digest by the registry whose mirror is to be proved. `peer`: the URL of who is
    asked before docker.io's mirror; empty: nobody.
    """

    mirrors: Mapping[str, str]
    insecure: tuple[str, ...]
    files: tuple[Document, ...]
    max_concurrent_downloads: int | None
    debug: bool
    relay: DockerRelay | None
    canaries: Mapping[str, str]
    peer: str = ""

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit docker-mirrors."""
        hub = self.relay.url if self.relay else self.mirrors.get(DOCKER_HUB)
        return {
            "registry_mirrors": [each for each in (self.peer, hub) if each] if hub else [],
            "relay_port": self.relay.port if self.relay else None,
            "other_mirrors": {name: url for name, url in self.mirrors.items() if name != DOCKER_HUB},
            "insecure_registries": list(self.insecure),
            "max_concurrent_downloads": self.max_concurrent_downloads,
            "debug": self.debug,
            "files": [each.as_wish() for each in self.files],
            "canaries": dict(self.canaries),
        }

    def shown(self) -> dict[str, str]:
        """Path to text, for people; daemon.json as the keys that are ours, each form with where it counts."""
        wish = self.wish()
        keys = ("registry_mirrors", "insecure_registries", "max_concurrent_downloads", "debug")
        ours = json.dumps({key.replace("_", "-"): wish[key] for key in keys if wish[key]}, indent=2) + "\n"
        if wish["registry_mirrors"]:
            ours = f"# registry-mirrors: not on {WITH_HOSTS_TOML}, where hosts.toml says it.\n{ours}"
        return {PATH: ours, **{each.path: f"# Only on {WITH_HOSTS_TOML}.\n{each.text}" for each in self.files}}


def render(
    wanted: Docker,
    mirrors: Mapping[str, str],
    hosted: Sequence[str],
    *,
    passwords: Mapping[str, str] = NONE,
    cas: Mapping[str, str] = NONE,
    canaries: Mapping[str, str] = NONE,
    peer: Peer | None = None,
) -> DockerMirrors:
    """The keys, and a hosts.toml for each mirrored registry and for each hosted one over HTTP.

    `passwords`: by the names of their secrets. `cas`: a CA's file on the host by the server that it is for. `peer`: who
    is asked before the mirrors; Spegel is not, since it has containerd's images only.
    """
    asked = peer if peer and peer.kind == "dragonfly" else None
    logins = [each.registry for each in wanted.logins]
    peers = {name: stands_before(asked, name, [urlsplit(url).netloc], logins) for name, url in mirrors.items()}
    access = Access(authorizations(wanted.logins, passwords), cas)
    plain = [url for url in hosted if url.startswith("http://")]
    named = [*plain, *(url for name, url in mirrors.items() if name != DOCKER_HUB and url.startswith("http://"))]
    texts = {
        name: hosts_toml.mirror(url, fallback=wanted.fallback, access=access, peer=peers[name])
        for name, url in mirrors.items()
    }
    # The command line sends the logins for these: a header here would outdo them.
    texts |= {urlsplit(url).netloc: hosts_toml.hosted(url) for url in plain}
    hub = access.endpoint(mirrors.get(DOCKER_HUB, ""))
    return DockerMirrors(
        mirrors,
        tuple(urlsplit(url).netloc for url in named),
        tuple(hosts_toml.document(f"{CERTS}/{name}", text) for name, text in texts.items()),
        wanted.max_concurrent_downloads,
        wanted.debug,
        docker_relay.render(hub, wanted.relay_port) if hub.authorization else None,
        canaries,
        before.url if (before := peers.get(DOCKER_HUB)) else "",
    )
