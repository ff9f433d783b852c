"""A walk along the way of one pull, step by step, up to the first break."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional, Tuple
from urllib.parse import urlsplit

from doctor.finding import BROKEN, OK, Finding, Seen, broken
from doctor.pull import Endpoint, Pull
from hostctl.host import Host

PORTS = {"http": 80, "https": 443}
ANOTHER = (
    *("tls-unknown-authority", "tls-wrong-name", "http-answer-to-https", "https-answer-to-http", "not-a-registry"),
    *("manifest-unknown", "repository-unknown", "login-wrong"),
)
"""What one meets who asks the wrong machine. Where its address is none of the settings', that is the reason; the
causes of the step `connection` are too."""


@dataclass
class Walk:
    """What the steps at one endpoint have learnt so far, each for those behind it."""

    host: Host
    pull: Pull
    endpoint: Endpoint
    clock: float
    """The controller's time, in seconds since 1970, at the request; `asked_at`: this host's, at the same moment."""
    asked_at: float
    addresses: List[str] = field(default_factory=list)
    """The endpoint's name resolved; after the step `connection` the one that answers."""
    elsewhere: str = ""
    """How the name resolves to another address than the settings', in words; empty where it does not."""
    plain: bool = False
    """Whether HTTP is spoken although the endpoint says HTTPS (insecure-registries of dockerd)."""
    headers: Dict[str, str] = field(default_factory=dict)
    """What the manifest's and the blob's requests must carry, as a login has brought it; secret."""
    manifest: Optional[bytes] = None
    """The manifest of this host's platform."""

    @property
    def name(self) -> str:
        """The endpoint's host, an IPv6 address without brackets."""
        return urlsplit(self.endpoint.url).hostname or ""

    @property
    def port(self) -> int:
        """The endpoint's port."""
        parts = urlsplit(self.endpoint.url)
        return parts.port or PORTS[parts.scheme]

    @property
    def scheme(self) -> str:
        """What is spoken."""
        return "http" if self.plain else urlsplit(self.endpoint.url).scheme

    @property
    def skew(self) -> float:
        """Seconds by which this host's clock is ahead of the controller's."""
        return self.asked_at - self.clock

    def ok(self, step: str, said: str) -> Seen:
        """A step that held."""
        return Seen(step, OK, said)

    def broken(self, step: str, cause: str, evidence: str, where: str = "", **values: object) -> Seen:
        """The step at which the walk ends, with what fills the texts of its cause."""
        if self.elsewhere and (cause in ANOTHER or step == "connection"):
            step, cause, evidence = "name", "host-name-elsewhere", f"{self.elsewhere}; there: {evidence}"
        server = self.pull.server(self.endpoint.url)
        known = {
            "runtime": self.pull.runtime,
            "registry": self.pull.image.registry,
            "image": self.pull.image.name,
            "url": self.endpoint.url,
            "said_by": self.endpoint.said_by,
            "name": self.name,
            "address": self.addresses[0] if self.addresses else self.name,
            "port": str(self.port),
            "server": server.host,
            "server_address": server.address,
            "service": server.service,
        }
        known.update({key: str(value) for key, value in values.items()})
        return broken(step, Finding(cause, where or self.endpoint.url, " ".join(evidence.split()), known))


Step = Callable[[Walk], Seen]


def walked(walk: Walk, steps: Tuple[Step, ...]) -> List[Seen]:
    """What each step saw, up to the first that is broken."""
    seen: List[Seen] = []
    for step in steps:
        seen.append(step(walk))
        if seen[-1].state == BROKEN:
            break
    return seen
