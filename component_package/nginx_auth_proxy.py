"""NginxAuthProxy for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from component_package import inputs
from component_package.component import OF_HOST, Checked, Component, Raw, one_host, registries_of
from components.nginx_auth_proxy import NginxAuthProxy
from documents.canary import canaries
from settings.registries import HostedRegistry

OF_PROXY = ("endpoints", "users", "bcrypt_cost", "cache", "limits")


def _tier(name: str, raw: Raw) -> dict[str, Any]:
    proxy = {key: raw[key] for key in OF_PROXY if key in raw}
    return one_host(
        name,
        raw,
        registries=registries_of(name, raw),
        proxy={"host": name, **proxy},
        firewall={key: raw[key] for key in ("allow",) if key in raw},
        authorities=raw.get("authorities"),
    )


def _declare(checked: Checked) -> Mapping[str, pulumi.Input[Any]]:
    tier = checked.loaded.tier
    made = NginxAuthProxy(f"{checked.name}-nginx", checked.loaded.proxy_args(checked.host(), tier), checked.opts)
    return {
        "urls": {each.name: tier.url(each) for each in tier.registries if isinstance(each, HostedRegistry)},
        "mirrors": tier.mirrors(),
        "canaries": {registry: each.digest for registry, each in canaries(tier).items()},
        "documents": dict(made.documents),
    }


COMPONENT = Component(inputs.NginxAuthProxy, inputs.Proxied, _tier, _declare, {**OF_HOST, "proxy": "", "firewall": ""})
