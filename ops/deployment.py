"""A stack's state as `pulumi stack export` has it: the resources of its deployment. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from settings.resource_names import HOST

STACK, COMMAND, REFERENCE = "pulumi:pulumi:Stack", "command:remote:Command", "pulumi:pulumi:StackReference"
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


def references(deployment: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The outputs of other stacks that the last `up` has read, by the stacks' names."""
    found = (each.get("outputs", {}) for each in resources_of(deployment) if each["type"] == REFERENCE)
    return {each["name"]: {name: _clear(value) for name, value in each["outputs"].items()} for each in found}


def _clear(value: Any) -> Any:
    """A secret's value, where the state has it in clear."""
    if isinstance(value, Mapping) and "plaintext" in value:
        return json.loads(value["plaintext"])
    return value


def hosts_of(deployment: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The hosts by their names."""
    return {name_of(each["urn"]): each for each in resources_of(deployment) if each["type"] == HOST}
