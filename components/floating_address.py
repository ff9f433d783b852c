"""FloatingAddress: has an address at the one of two proxies that works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi

from components.host import Host
from documents import floating_address
from settings.tier import Tier


class FloatingAddress(pulumi.ComponentResource):
    """keepalived on one of the two hosts."""

    documents: Mapping[str, str]
    """The rendered files by path."""

    def __init__(
        self,
        name: str,
        host: Host,
        tier: Tier,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after`: the proxy there."""
        super().__init__("http-registry:index:FloatingAddress", name, None, opts)
        rendered = floating_address.render(tier, host.name)
        self.documents = rendered.shown()
        host.run_unit("floating-address", rendered.wish(), self, depends_on=after)
        self.register_outputs(host.shows_units({"floating-address": self.documents}))
