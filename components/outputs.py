"""The stack's outputs: few, stable, typed; other stacks read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pulumi

from components.host import Host
from settings.registries import HostedRegistry
from settings.tier import Tier


class Documents:
    """Every host's rendered files, masked: `pulumi preview --diff` shows their changed lines."""

    def __init__(self) -> None:
        self._by_host: dict[str, dict[str, str]] = {}
        self._hosts: Iterable[Host] = ()

    def wait_for(self, hosts: Iterable[Host]) -> None:
        """Be known only once all on these hosts is done, so that an `up` that fails leaves the texts before it in the
        state: what is left to do is shown by the next preview."""
        self._hosts = hosts

    def add(self, host: str, documents: Mapping[str, str]) -> None:
        """Add files of a host, path to text."""
        self._by_host.setdefault(host, {}).update(documents)

    def as_output(self) -> pulumi.Input[dict[str, dict[str, str]]]:
        """Host to path to text."""
        # In a preview what is going to change is unknown, and the texts must be shown all the same.
        if pulumi.runtime.is_dry_run():
            return self._by_host
        return pulumi.Output.all(*(each for host in self._hosts for each in host.done)).apply(lambda _: self._by_host)


def export(tier: Tier, documents: Documents) -> None:
    """Export `mirrors` (URL by registry name), `registries` (URL by name, to push to) and `documents`."""
    pulumi.export("mirrors", tier.mirrors())
    pulumi.export(
        "registries",
        {each.name: tier.url(each) for each in tier.registries if isinstance(each, HostedRegistry)},
    )
    pulumi.export("documents", documents.as_output())
