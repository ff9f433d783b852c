"""A stack's state as `pulumi stack export` has it: the resources of its deployment. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from settings.resource_names import HOST

STACK, COMMAND = "pulumi:pulumi:Stack", "command:remote:Command"
"""Types of resources."""


def resources_of(deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All resources; none where nothing has been up."""
    return deployment.get("resources") or []


def name_of(urn: str) -> str:
    """The name of a resource, by its URN."""
    return urn.rpartition("::")[2]


def stack_of(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """The stack's own resource, which has the outputs; empty before it is there."""
    return next((each for each in resources_of(deployment) if each["type"] == STACK), {})


def hosts_of(deployment: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The hosts by their names."""
    return {name_of(each["urn"]): each for each in resources_of(deployment) if each["type"] == HOST}
