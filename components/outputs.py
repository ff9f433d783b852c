"""The stack's outputs: few, stable, typed; other stacks read them."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from settings.registries import HostedRegistry
from settings.tier import Tier


class Documents:
    """Every host's rendered files, masked: `pulumi preview --diff` shows their changed lines."""

    def __init__(self) -> None:
        self._by_host: dict[str, dict[str, str]] = {}

    def add(self, host: str, documents: Mapping[str, str]) -> None:
        """Add files of a host, path to text."""
        self._by_host.setdefault(host, {}).update(documents)

    def as_output(self) -> dict[str, dict[str, str]]:
        """Host to path to text."""
        return self._by_host


def export(tier: Tier, documents: Documents) -> None:
    """Export `mirrors` (URL by registry name), `registries` (URL by name, to push to) and `documents`."""
    pulumi.export("mirrors", tier.mirrors())
    pulumi.export(
        "registries",
        {each.name: tier.url(each) for each in tier.registries if isinstance(each, HostedRegistry)},
    )
    pulumi.export("documents", documents.as_output())
