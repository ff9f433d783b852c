"""What the readers of runtimes' configurations have in common: how a walk ends there, and what is whose endpoint."""

from __future__ import annotations

from typing import List, Optional
from urllib.parse import urlsplit

from doctor.finding import Finding, Seen, broken
from doctor.pull import DOCKER_HUB, Endpoint, Pull

STEP = "runtime"
HUB = "https://registry-1.docker.io"
BUILT_IN = "the runtime's own rule"
"""Says that an endpoint is asked, where no setting can leave it out."""


class End(Exception):
    """The step ends here, with what it has seen."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen.said)
        self.seen = seen


def ended(cause: str, where: str, evidence: str, **values: str) -> End:
    """The end by a finding."""
    return End(broken(STEP, Finding(cause, where, evidence, values)))


def netloc(url: str) -> str:
    """Host and port as the URL has them."""
    return urlsplit(url).netloc


def real(registry: str) -> str:
    """Where a registry itself is asked."""
    return HUB if registry == DOCKER_HUB else f"https://{registry}"


def stands_for(registry: str, url: str) -> str:
    """The `ns` that containerd's resolver adds at an endpoint: the registry, where the endpoint is another server."""
    return "" if netloc(url) in (registry, netloc(real(registry))) else registry


def is_wanted(pull: Pull, endpoint: Endpoint) -> bool:
    """Whether the settings want an endpoint asked. Its scheme may be wrong: the steps behind see to that."""
    return netloc(endpoint.url) in map(netloc, pull.wanted.urls)


def any_wanted(pull: Pull, endpoints: List[Endpoint]) -> bool:
    """Whether one of them is wanted."""
    return any(is_wanted(pull, each) for each in endpoints)


def named_in(pull: Pull, urls: List[str]) -> Optional[str]:
    """The first of these URLs that the settings want."""
    return next((url for url in urls if netloc(url) in map(netloc, pull.wanted.urls)), None)
