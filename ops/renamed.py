"""A host that got another name without `was`: to pulumi it would be a new one, and its old self in the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.configuration import tier_of
from ops.stack import Stack, StackError
from settings.resource_names import HOST
from settings.tier import Tier


def refuse_renamed(stack: Stack) -> None:
    """Raise StackError where the state has a machine under another name than the settings."""
    found = renamed(stack.state()["deployment"], tier_of(stack.name))
    if found:
        lines = (
            f"{name}: has the address of {old}, which is in the state. The same machine: add 'was: {old}' to it; "
            f"another one in its place: 'make forget STACK={stack.name} HOST={old}'"
            for name, old in found.items()
        )
        raise StackError("\n".join(lines))


def renamed(deployment: Mapping[str, Any], tier: Tier) -> dict[str, str]:
    """By the name of a host that the state does not know: the name that its address has there."""
    hosts = [each for each in deployment.get("resources") or [] if each["type"] == HOST]
    addresses = {each["urn"].rpartition("::")[2]: (each.get("outputs") or {}).get("address") for each in hosts}
    known = {name for each in tier.hosts for name in (each.name, each.was)}
    gone = {address: name for name, address in addresses.items() if name not in known}
    return {
        each.name: gone[each.address]
        for each in tier.hosts
        if each.name not in addresses and each.was not in addresses and each.address in gone
    }
