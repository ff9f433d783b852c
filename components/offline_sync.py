"""OfflineSync: makes bundles of images on a host, or loads them into the tier's registries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.host import Host
from documents import offline_sync
from settings.tier import Tier


@dataclass(frozen=True)
class OfflineSyncArgs:
    """Of a tier that has offline_sync. `authorities`: PEM by the files that the settings name. `secrets`: the logins'
    passwords, by names."""

    host: Host
    tier: Tier
    authorities: Mapping[str, str]
    secrets: Mapping[str, pulumi.Output[str]]


class OfflineSync(pulumi.ComponentResource):
    """The program with its list and logins, and a timer where the settings have a schedule."""

    documents: Mapping[str, str]
    """The rendered files by path, secrets masked."""

    def __init__(
        self,
        name: str,
        args: OfflineSyncArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after`: the registries that bundles are made of or loaded into."""
        super().__init__("http-registry:index:OfflineSync", name, None, opts)
        stack = f"{pulumi.get_project()}/{pulumi.get_stack()}"
        self.documents = offline_sync.render(args.tier, stack, args.authorities).shown()

        def wish(secrets: Mapping[str, str]) -> dict[str, Any]:
            return offline_sync.render(args.tier, stack, args.authorities, secrets).wish()

        args.host.run_unit(offline_sync.UNIT, pulumi.Output.all(**args.secrets).apply(wish), self, depends_on=after)
        self.register_outputs(args.host.shows_units({offline_sync.UNIT: self.documents}))
