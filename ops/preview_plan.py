"""What a preview plans, read from the engine's events (`pulumi preview --event-log`), which hold whole texts. Pure.

The form is that of apitype.EngineEvent, which the Automation API reads as well; secrets are masked in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hostctl.units import UNITS
from ops.deployment import COMMAND, STACK, name_of
from settings.resource_names import HOST

OURS = "http-registry:index:"
"""What the types of the program's components begin with."""
CHANGES = {
    "create": "create", "update": "update", "replace": "replace", "delete": "delete", "import": "import",
    "read": "read", "discard": "discard", "remove-pending-replace": "delete",
}  # fmt: skip
"""The engine's steps that a person wants to see; those beside a replacement's own, a create and a delete, are none."""
DEFAULT_PROVIDER = "::default_"
"""In the URN of a provider that the engine has made by itself, and does not count."""
Texts = Mapping[str, str]
"""The output `documents` of one host: text by path."""


@dataclass(frozen=True)
class Step:
    """A resource that changes. `why`: the inputs that differ. `state`: what the state has of it; empty for a new one.

    `host`: where it is, empty where that is nobody's. `unit`: hostctl's, where it is one.
    """

    change: str
    kind: str
    name: str
    why: tuple[str, ...] = ()
    host: str = ""
    unit: str = ""
    state: Mapping[str, Any] = field(default_factory=dict)

    @property
    def report(self) -> dict[str, Any]:
        """What hostctl reported when it was last applied."""
        try:
            said = json.loads(self.state["outputs"]["stdout"])
        except (KeyError, TypeError, ValueError):
            return {}
        return said if isinstance(said, dict) else {}

    @property
    def drift(self) -> Mapping[str, Any]:
        """The drift that `make drift` has marked it with, as `hostctl drift` reports it; empty where it has not."""
        stdin = (self.state.get("inputs") or {}).get("stdin")
        try:
            return dict(json.loads(stdin)["drift"]) if isinstance(stdin, str) else {}
        except (ValueError, KeyError):
            return {}


@dataclass(frozen=True)
class Plan:
    """What `up` would do. `before` and `after`: the output `documents`, by host. `writes`: the paths that a resource
    writes, by its name. `known`: what components tell of their host for `Unit.foresee`, by host.

    `counts`: how many resources the engine says change in which way, and `same` for the rest.
    `outputs`: the stack's other outputs that differ, before and after. `notices`: warnings of the program.
    `there`: what hosts that were read say already, by host, as `documents` would.
    """

    steps: tuple[Step, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, Texts] = field(default_factory=dict)
    after: Mapping[str, Texts] = field(default_factory=dict)
    writes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    known: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outputs: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    there: Mapping[str, Texts] = field(default_factory=dict)


def plan(events: Iterable[Mapping[str, Any]]) -> Plan:
    """Read a preview's events."""
    planned: dict[str, Mapping[str, Any]] = {}
    ended: dict[str, Mapping[str, Any]] = {}
    notices: list[str] = []
    counts: Mapping[str, int] = {}
    for event in events:
        for kind, into in (("resourcePreEvent", planned), ("resOutputsEvent", ended)):
            if step := (event.get(kind) or {}).get("metadata"):
                # A replacement has several steps for one URN.
                into[step["urn"] if into is ended else f"{step['urn']} {step['op']}"] = step
        if (said := event.get("diagnosticEvent")) and said["severity"] == "warning":
            notices.append(_plain(said["message"]))
        if done := event.get("summaryEvent"):
            counts = {key: count for key, count in (done.get("resourceChanges") or {}).items() if count}
    components = [each for each in ended.values() if each["type"].startswith(OURS)]
    stack = next((each for each in ended.values() if each["type"] == STACK), {})
    outputs = [dict(_outputs(stack, end)) for end in ("old", "new")]
    before, after = (each.pop("documents", None) or {} for each in outputs)
    names = {
        name_of(each["urn"]): name_of((each.get("old") or each)["urn"]) for each in components if each["type"] == HOST
    }
    steps = tuple(_step(each, names) for each in planned.values() if _counts(each))
    return Plan(
        steps,
        counts,
        # A host that was renamed had its texts under its old name.
        {name: before.get(names.get(name, name)) or before.get(name, {}) for name in (*before, *names)},
        after,
        _writes(components),
        {host: found for host, found in _known(components)},
        {
            name: (outputs[0].get(name), outputs[1].get(name))
            for name in sorted({*outputs[0], *outputs[1]})
            if outputs[0].get(name) != outputs[1].get(name)
        },
        tuple(dict.fromkeys(notices)),
    )


def _step(metadata: Mapping[str, Any], hosts: Iterable[str]) -> Step:
    kind, name = metadata["type"], name_of(metadata["urn"])
    state = metadata.get("old") or {}
    host, unit = _place(kind, name, metadata, hosts)
    why = tuple(dict.fromkeys(each.split(".")[0].split("[")[0] for each in metadata.get("diffs") or ()))
    return Step(CHANGES[metadata["op"]], kind, name, why, host, unit, state)


def _counts(step: Mapping[str, Any]) -> bool:
    return step["op"] in CHANGES and DEFAULT_PROVIDER not in step["urn"]


def _place(kind: str, name: str, metadata: Mapping[str, Any], hosts: Iterable[str]) -> tuple[str, str]:
    """The host of a resource and its unit there, each empty where it has none."""
    provider = name_of(str(metadata.get("provider") or "").rpartition("::")[0]).removesuffix("-docker")
    there = sorted((each for each in hosts if name == each or name.startswith(f"{each}-")), key=len, reverse=True)
    if kind == COMMAND:
        for each in there:
            if (unit := name.removeprefix(f"{each}-")) in UNITS:
                return each, unit
    if kind.startswith("docker:"):
        return provider, ""
    return (there[0], "") if there else ("", "")


def _writes(components: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """Both ends', since what a resource no longer writes goes."""
    found: dict[str, frozenset[str]] = {}
    for each in components:
        for end in ("old", "new"):
            for name, paths in (_outputs(each, end).get("files") or {}).items():
                found[name] = found.get(name, frozenset()) | frozenset(paths)
    return found


def _known(components: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in components:
        said = {**_outputs(each, "old"), **_outputs(each, "new")}
        if "confirm_seconds" in said:
            yield said["host"], {"confirm_seconds": int(said["confirm_seconds"])}


def _outputs(step: Mapping[str, Any], end: str) -> Mapping[str, Any]:
    return (step.get(end) or {}).get("outputs") or {}


def _plain(message: str) -> str:
    """A message without the marks that the engine has for colours."""
    for mark in ("<{%reset%}>", "<{%fg 3%}>", "<{%fg 1%}>"):
        message = message.replace(mark, "")
    return message.strip()
