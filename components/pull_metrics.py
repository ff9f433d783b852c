"""PullMetrics: how well pulls go and how much is stored, in figures on a proxy's host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.host import Host
from documents import pull_metrics
from settings.registry_files import RegistryFiles
from settings.server_certificates import ServerCertificate
from settings.tier import Tier


@dataclass(frozen=True)
class PullMetricsArgs:
    """`host`: the proxy's. `tier`: as it looks from there. `certificates`: by the key's name. `registry_files`: by the
    registry's name."""

    host: Host
    tier: Tier
    certificates: Mapping[str, ServerCertificate]
    registry_files: Mapping[str, RegistryFiles]


class PullMetrics(pulumi.ComponentResource):
    """The service that counts pulls, and a node_exporter beside it."""

    documents: Mapping[str, str]
    """The rendered files by path."""

    def __init__(
        self,
        name: str,
        args: PullMetricsArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after`: what is measured, and the firewall."""
        super().__init__("http-registry:index:PullMetrics", name, None, opts)
        service = pull_metrics.render(args.tier, pulumi.get_stack(), args.certificates, args.registry_files)
        self.documents = service.shown()
        args.host.run_unit("pull-metrics", service.wish(), self, depends_on=after)
        self.register_outputs(args.host.shows_units({"pull-metrics": self.documents}))
