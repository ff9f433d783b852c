"""Figures of how well pulls go: who may read them, where Prometheus runs, whether there is a status page."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from settings.firewall import once
from settings.values import BaseUrl, Duration, Name, Network, Port, Settings

Scrapers = Annotated[tuple[Network, ...], AfterValidator(once)]
DEBUG_PORTS = 10000
"""How far from a registry container's port that of its own metrics is."""


class Prometheus(Settings):
    """A Prometheus of our own: Debian's program, with a service, a configuration and data of its own."""

    host: Name
    """Where it runs; any host of the tier that has the package `prometheus`."""
    port: Port = 9090
    """On 127.0.0.1 of that host: it asks nobody who he is. People reach it by `ssh -L`."""
    keep: Duration = "30d"
    """How long figures are kept there."""
    alertmanagers: tuple[BaseUrl, ...] = ()
    """Where alerts go; without one they are seen in Prometheus itself only."""


class Metrics(Settings):
    """What is measured on the proxy's host, and on the standby's, by a service that reads nginx's access log. Off
    without this.

    Port `port` there answers who may scrape: on 127.0.0.1 alone where that is only the host itself.
    """

    port: Port = 9180
    """Where figures are told on each proxy's host."""
    prometheus: Prometheus | None = None
    """Without it a Prometheus of somebody else's scrapes: `scrapers`."""
    scrapers: Scrapers = ()
    """Who scrapes besides our own Prometheus: private networks, such as 192.168.1.9/32."""
    pull_ends: Duration = "30s"
    """A pull has ended when its client has asked for nothing of it for so long. Docker waits up to 20 s before it tries
    a layer again, so less than that may count one pull as two."""
    containerd_port: Port | None = None
    """Where containerd of each runtime's host tells its own figures, such as 1338; Prometheus reads those of its CRI's
    pulls, which containerd 2.4 has and 1.6 has not. Who scrapes is let in there, nobody else. A change restarts
    containerd; running containers are kept."""
    status_page: bool = False
    """Whether the proxy serves a page at `/status/`, at its first endpoint that asks each reader for a password
    (docs/status-page.md)."""


def debug_port(port: int) -> int:
    """The port on 127.0.0.1 where a registry's container, published at `port`, tells its own metrics."""
    return port + DEBUG_PORTS if port + DEBUG_PORTS <= 65535 else port - DEBUG_PORTS
