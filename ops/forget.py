"""A host that is gone for good, taken out of a stack's state, so that it blocks neither `up` nor `destroy`."""

from __future__ import annotations

from typing import Any

from ops.deployment import name_of, resources_of
from ops.stack import Stack, StackError
from settings.resource_names import is_on


def forget(stack: Stack, host: str) -> list[str]:
    """Drop everything on that host from the state; returns the names. Raises StackError where it has no such host."""
    state = stack.state()
    state["deployment"], names = without_host(state["deployment"], host)
    if not names:
        raise StackError(f"{stack.name}: the state has nothing on a host named {host}")
    stack.import_state(state)
    return names


def without_host(deployment: dict[str, Any], host: str) -> tuple[dict[str, Any], list[str]]:
    """A deployment without what is on the host, and the names of what was left out.

    On it is what is named after it, what is below that, and what its Docker provider has made; and a component all of
    whose parts are so.
    """
    resources = resources_of(deployment)
    gone: set[str] = set()
    size = -1
    while size != len(gone):
        size = len(gone)
        for each in resources:
            if _is_on(each, host) or each.get("parent") in gone or _emptied(each, resources, gone):
                gone.add(each["urn"])
    kept = [_unbound(each, gone) for each in resources if each["urn"] not in gone]
    return {**deployment, "resources": kept}, sorted(name_of(urn) for urn in gone)


def _is_on(resource: dict[str, Any], host: str) -> bool:
    named = is_on(resource["type"], name_of(resource["urn"]), host)
    return named or f"::{host}-docker::" in resource.get("provider", "")


def _emptied(resource: dict[str, Any], resources: list[dict[str, Any]], gone: set[str]) -> bool:
    children = [each["urn"] for each in resources if each.get("parent") == resource["urn"]]
    return not resource.get("custom") and bool(children) and gone.issuperset(children)


def _unbound(resource: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    """The resource without its dependencies on what is gone."""
    bound = resource.get("propertyDependencies") or {}
    changes: dict[str, Any] = {}
    if resource.get("dependencies"):
        changes["dependencies"] = [urn for urn in resource["dependencies"] if urn not in gone]
    if bound:
        changes["propertyDependencies"] = {
            key: [urn for urn in urns or [] if urn not in gone] for key, urns in bound.items()
        }
    return {**resource, **changes}
