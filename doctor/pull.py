"""The pull that doctor walks: what is pulled, by which runtime, and where the runtime asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, NamedTuple, Optional, Tuple

DOCKER_HUB = "docker.io"


class Image(NamedTuple):
    """An image reference, taken apart. Empty `repository`: none is pulled, the registry alone is asked."""

    registry: str
    """As references name it: docker.io, or host[:port]."""
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """As people type it."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}".rstrip("/")

    @property
    def reference(self) -> str:
        """The tag or the digest, as a manifest's path has it."""
        return self.digest or self.tag


class Server(NamedTuple):
    """A host of the tier that serves an endpoint."""

    url: str
    host: str
    """Its name in the settings."""
    address: str
    """Where the settings have it; a name where they do."""
    service: str = ""
    """What listens: nginx, the proxy; empty for a registry's own container."""


NOBODY = Server("", "", "")
"""Serves what this tier does not run."""


class Wanted(NamedTuple):
    """Where the settings want the runtime to ask."""

    urls: Tuple[str, ...]
    """Endpoints in order: the mirror first; for a hosted registry its own."""
    user: str = ""
    """As whom; empty where nobody logs in."""
    fallback: bool = False
    """Whether the settings let it ask the real registry when the mirror fails."""
    servers: Tuple[Server, ...] = ()
    """Of those urls that this tier serves itself."""
    peer: str = ""
    """Who is asked before them, for what other hosts have; empty: nobody."""


class Pull(NamedTuple):
    """One pull: `runtime` is docker or containerd."""

    runtime: str
    image: Image
    wanted: Wanted

    def server(self, url: str) -> Server:
        """Who of this tier serves an endpoint."""
        return next((each for each in self.wanted.servers if each.url == url), NOBODY)

    @property
    def mirrored(self) -> bool:
        """Whether it goes by a mirror of a registry that is not ours."""
        return not any(url.split("://", 1)[1] == self.image.registry for url in self.wanted.urls)


@dataclass(frozen=True)
class Endpoint:
    """A place that the runtime, as it is configured now, asks for the image."""

    url: str
    """Scheme, host, port; no path."""
    said_by: str
    """The file, or the API, that says so."""
    prefix: str = "/v2"
    """The path of the API, by `override_path`."""
    authorities: Tuple[str, ...] = ()
    """Files with authorities that count here besides, or instead of, the system's."""
    system_trust: bool = True
    """Whether the system's authorities count."""
    verify: bool = True
    """Whether its certificate is verified (skip_verify, insecure-registries)."""
    plain_too: bool = False
    """Whether HTTP is tried where HTTPS fails (insecure-registries of dockerd)."""
    authorization: str = ""
    """The Authorization header that is sent at once; a secret."""
    login: Optional[Tuple[str, str]] = None
    """User and password that are sent when asked; a secret."""
    login_said_by: str = ""
    """The file that has the login."""
    namespace: str = ""
    """`ns` of the query, where the runtime adds it: the registry whose mirror this is."""
    wanted: bool = True
    """Whether the settings want it asked; else it is the real registry, or somebody else's mirror."""


def read_pull(document: Mapping[str, Any]) -> Pull:
    """A pull as the request has it."""
    wanted = document["wanted"]
    return Pull(
        document["runtime"],
        Image(**document["image"]),
        Wanted(
            tuple(wanted["urls"]),
            wanted.get("user", ""),
            bool(wanted.get("fallback", False)),
            tuple(Server(**each) for each in wanted.get("servers", ())),
            wanted.get("peer", ""),
        ),
    )
