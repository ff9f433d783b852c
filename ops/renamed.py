"""A host that got another name without `was`: to pulumi it would be a new one, and its old self in the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.configuration import tier_of
from ops.deployment import hosts_of
from ops.stack import Stack, StackError
from settings.tier import Tier


def refuse_renamed(stack: Stack, deployment: Mapping[str, Any]) -> None:
    """Raise StackError where the stack's deployment has a machine under another name than the settings."""
    found = renamed(deployment, tier_of(stack.name))
    if found:
        lines = (
            f"{name}: has the address of {old}, which is in the state. The same machine: add 'was: {old}' to it; "
            f"another one in its place: 'make forget STACK={stack.name} HOST={old}'"
            for name, old in found.items()
        )
        raise StackError("\n".join(lines))


def renamed(deployment: Mapping[str, Any], tier: Tier) -> dict[str, str]:
    """By the name of a host that the state does not know: the name that its address has there."""
    hosts = hosts_of(deployment)
    addresses = {name: (each.get("outputs") or {}).get("address") for name, each in hosts.items()}
    known = {name for each in tier.hosts for name in (each.name, each.was)}
    gone = {address: name for name, address in addresses.items() if name not in known}
    return {
        each.name: gone[each.address]
        for each in tier.hosts
        if each.name not in addresses and each.was not in addresses and each.address in gone
    }
