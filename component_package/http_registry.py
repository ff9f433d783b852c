"""HttpRegistry for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from component_package import inputs
from component_package.component import OF_HOST, Checked, Component, Raw, one_host, registries_of
from components.http_registry import HttpRegistry, HttpRegistryArgs, RegistryBase
from settings.registries import HostedRegistry


def _tier(name: str, raw: Raw) -> dict[str, Any]:
    return one_host(name, raw, image=raw.get("image"), registries=registries_of(name, raw))


def _declare(checked: Checked) -> Mapping[str, pulumi.Input[Any]]:
    loaded, loopback, host = checked.loaded, checked.inputs.loopback_only, checked.host()
    tier = loaded.tier
    base = RegistryBase(f"{checked.name}-registries", host, tier.image, loaded.archive, checked.opts)
    documents: dict[str, str] = {}
    before: list[pulumi.Resource] = []
    for each in tier.registries:
        args = HttpRegistryArgs(
            each,
            host,
            base,
            loopback,
            False,
            loaded.registry_files[each.name],
            loaded.registry_secrets(each),
        )
        # One after the other, so that an update leaves the others at work.
        made = HttpRegistry(f"{checked.name}.{each.name}", args, checked.opts, after=before)
        before = [*before, made]
        documents |= made.documents
    return {
        "urls": {
            each.name: f"{each.scheme}://127.0.0.1:{each.port}" if loopback else tier.url(each)
            for each in tier.registries
            if isinstance(each, HostedRegistry)
        },
        "mirrors": {} if loopback else tier.mirrors(),
        "documents": documents,
    }


COMPONENT = Component(inputs.HttpRegistry, inputs.Served, _tier, _declare, OF_HOST)
