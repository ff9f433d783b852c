"""GarbageCollection: removes at times, on a registry's host, what no image of its registries uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.host import Host
from documents import garbage_collection
from settings.registries import HostedRegistry
from settings.registry_files import RegistryFiles


@dataclass(frozen=True)
class GarbageCollectionArgs:
    """`registries`: those of the host that have a schedule. `files`: what registries name, by the registries' names.
    `secrets`: what goes with these registries, by names. `standbys`: as documents/nginx_gate.py says it.
    """

    host: Host
    registries: Sequence[HostedRegistry]
    files: Mapping[str, RegistryFiles]
    secrets: Mapping[str, pulumi.Output[str]]
    standbys: Mapping[str, Mapping[str, object]]


class GarbageCollection(pulumi.ComponentResource):
    """A timer and a service for each registry."""

    documents: Mapping[str, str]
    """The rendered files by path, secrets masked."""

    def __init__(
        self,
        name: str,
        args: GarbageCollectionArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after`: the registries, and the proxy that holds pushes off."""
        super().__init__("http-registry:index:GarbageCollection", name, None, opts)
        self.documents = garbage_collection.render(args.registries, args.files, None, args.standbys).shown()

        def wish(secrets: Mapping[str, str]) -> dict[str, Any]:
            return garbage_collection.render(args.registries, args.files, secrets, args.standbys).wish()

        args.host.run_unit(
            garbage_collection.UNIT, pulumi.Output.all(**args.secrets).apply(wish), self, depends_on=after
        )
        self.register_outputs(args.host.shows_units({garbage_collection.UNIT: self.documents}))
