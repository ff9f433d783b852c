"""Prometheus: keeps the figures of PullMetrics, works out rates, raises alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.host import Host
from documents import prometheus, pull_metrics
from settings.tier import Tier


@dataclass(frozen=True)
class PrometheusArgs:
    """`host`: where it runs."""

    host: Host
    tier: Tier


class Prometheus(pulumi.ComponentResource):
    """A service of its own beside the one of Debian's package, on 127.0.0.1."""

    documents: Mapping[str, str]
    """The rendered files by path."""

    def __init__(
        self,
        name: str,
        args: PrometheusArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after`: what it scrapes."""
        super().__init__("http-registry:index:Prometheus", name, None, opts)
        rendered = prometheus.render(args.tier, pull_metrics.relayed(args.tier))
        self.documents = rendered.shown()
        args.host.run_unit("prometheus", rendered.wish(), self, depends_on=after)
        self.register_outputs(args.host.shows_units({"prometheus": self.documents}))
