"""FirewallPolicy for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from component_package import inputs
from component_package.component import NOBODY, OF_HOST, Checked, Component, Raw, one_host
from components.firewall_policy import FirewallPolicy, FirewallPolicyArgs

TRIAL = ("containers", "confirm_seconds", "force")


def _tier(name: str, raw: Raw) -> dict[str, Any]:
    firewall = {key: raw[key] for key in ("rules", *TRIAL) if key in raw}
    return one_host(name, raw, firewall={"allow": list(NOBODY), **firewall})


def _declare(checked: Checked) -> Mapping[str, pulumi.Input[Any]]:
    firewall, host = checked.loaded.tier.firewall, checked.host()
    args = FirewallPolicyArgs(host, firewall.rules, firewall, checked.inputs.host.ssh_port)
    return {"documents": dict(FirewallPolicy(f"{checked.name}-firewall", args, checked.opts).documents)}


COMPONENT = Component(
    inputs.FirewallPolicy,
    inputs.Written,
    _tier,
    _declare,
    {**OF_HOST, "firewall.rules": "rules", **{f"firewall.{each}": each for each in TRIAL}},
)
