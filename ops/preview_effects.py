"""What a planned change does on its host: the texts that differ, and what is reloaded or restarted. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.foresight import Foresight
from hostctl.unit import NONE, RELOAD, RESTART, Change, Unit
from hostctl.units import unit_named
from ops.deployment import COMMAND
from ops.preview_plan import Plan, Step, Texts

CONTAINER, IMAGE = "docker:index/container:Container", "docker:index/remoteImage:RemoteImage"
VOLUME, NETWORK = "docker:index/volume:Volume", "docker:index/network:Network"
HIDDEN = "the wish changes in what is not shown (a secret), or it is applied again"
DRIFTED = "somebody has changed it on the host; it becomes again what the stack wants"
SAID = "the host's own files say it already, and stay as they are"
REPAIRED = Foresight((NONE, RELOAD, RESTART), "the program is reloaded or restarted, so that it shows its files again")
AGAIN = Foresight(
    (NONE,),
    "applied again by another hostctl: nothing is reloaded where the host is as it was and this one writes the same",
)
CONTAINERS = {
    "create": "the container is started",
    "update": "the container is changed while it runs",
    "replace": "the container is replaced: its registry is away for a moment, and what is under way to it is cut",
    "delete": "the container is stopped and removed",
}
ONE_BY_ONE = (
    "the container is replaced, one after the other: its requests go to the others meanwhile, and nothing is cut"
)
HELD_OFF = (
    "the container is replaced: meanwhile pushes are held off (503, come again), and pulls have what the proxy has "
    "cached"
)
DRAINED, NTH = "-drained", re.compile(r"(?<=-container)-\d+$")
OTHERS = {
    (IMAGE, "create"): "the image is taken from the host's Docker, or pulled where it is missing",
    (IMAGE, "replace"): "another image is taken from the host's Docker, or pulled where it is missing",
    (VOLUME, "replace"): "the volume is replaced: what it holds goes",
    (VOLUME, "delete"): "the volume is removed with what it holds, unless the registry says keep_data",
    (NETWORK, "replace"): "the registries' network is replaced",
}

FURTHER = {
    "-confirmed": "a new connection confirms what is on trial",
    DRAINED: "no more requests come to the container; those under way end first",
    "-ready": "the container has requests again once it answers",
    "-settled": "passwords that were replaced, if any, are no longer taken",
}
"""Further steps of a unit, by how their names end."""


@dataclass(frozen=True)
class FileDiff:
    """A file's changed lines, as a unified diff."""

    path: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Effect:
    """What a step does on its host. `levels`: as Foresight has them, empty for what is no unit."""

    step: Step
    text: str
    diffs: tuple[FileDiff, ...] = ()
    levels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def effects(plan: Plan) -> Iterator[Effect]:
    """That of each step that has any. A file is shown under the resource that writes it, if that changes."""
    for step in plan.steps:
        before, after = _ends(plan, step)
        diffs = tuple(_diffs(before, after))
        if step.unit:
            seen, notes = _foreseen(plan, step, before, after)
            yield Effect(step, seen.text, diffs, seen.levels, notes)
        elif step.kind == CONTAINER:
            yield Effect(step, _of_container(plan, step), diffs)
        elif text := _said(step):
            yield Effect(step, text, diffs)


def unified(path: str, before: str | None, after: str | None) -> Iterator[str]:
    """The changed lines, with three around; None stands for no file."""
    old, new = ((each or "").splitlines() for each in (before, after))
    here, there = ("/dev/null" if each is None else path for each in (before, after))
    yield from difflib.unified_diff(old, new, here, there, lineterm="")


def _of_container(plan: Plan, step: Step) -> str:
    """A registry behind the proxy has its containers drained; each of them is one of the resources that write files."""
    if step.change == "replace" and any(each.name == f"{step.name}{DRAINED}" for each in plan.steps):
        registry = NTH.sub("", step.name)
        return ONE_BY_ONE if len([each for each in plan.writes if NTH.sub("", each) == registry]) > 1 else HELD_OFF
    return CONTAINERS.get(step.change, "")


def _said(step: Step) -> str:
    """What the change of a resource of no unit means; empty for nothing."""
    if step.kind == COMMAND and step.change != "delete":
        return next((said for end, said in FURTHER.items() if step.name.endswith(end)), "")
    return OTHERS.get((step.kind, step.change), "")


def _ends(plan: Plan, step: Step) -> tuple[Texts, Texts]:
    """The texts that a step's resource writes, before and after it. The same where it is given the same texts: after an
    `up` that failed, `documents` is older than what was done by then."""
    paths = plan.writes.get(step.name, frozenset())
    before, after = (
        {path: text for path, text in documents.get(step.host, {}).items() if _file(path, step.unit) in (*paths, "")}
        for documents in (plan.before, plan.after)
    )
    carrier = "stdin" if step.unit else "uploads"
    if step.change in ("update", "replace") and step.why and carrier not in step.why:
        return after, after
    if step.change == "create":
        said = plan.there.get(step.host, {})
        before = {path: text for path, text in said.items() if path in paths}
    return before, {} if step.change == "delete" else after


def _file(path: str, unit: str) -> str:
    """The file that an entry of `documents` is about, beside which drift has entries; empty for the unit's program."""
    return "" if path == f"{unit}, running" else path.removesuffix(", changed")


def _diffs(before: Texts, after: Texts) -> Iterator[FileDiff]:
    for path in sorted({*before, *after}):
        if lines := tuple(unified(path, before.get(path), after.get(path))):
            yield FileDiff(path, lines)


def _foreseen(plan: Plan, step: Step, before: Texts, after: Texts) -> tuple[Foresight, tuple[str, ...]]:
    """What happens, and what a reader needs to know besides."""
    ends = _states(before, step), _states(after, step)
    gone: dict[str, FileState | None] = dict.fromkeys({**ends[0], **ends[1]})
    change = Change({**gone, **ends[0]}, {**gone, **ends[1]})
    if step.change == "update" and not {*step.why} - {"create", "delete"}:
        return AGAIN, ()
    if not change.changed and "live" in step.drift:
        return REPAIRED, (DRIFTED,)
    unit, known = unit_named(step.unit), {**plan.known.get(step.host, {}), **step.report}
    try:
        seen = unit.foresee(change, known)
    except HostError:  # a text that nobody can read, such as one in which pulumi has masked a password
        seen = Unit.foresee(unit, change, known)
    notes = []
    if step.change == "create" and before == after and before:
        notes.append(SAID)
    if step.drift:
        notes.append(DRIFTED)
    elif not change.changed and step.change == "update":
        notes.append(HIDDEN)
    if step.change == "update" and "connection" in step.why:
        notes.append("the host is at another address or has another key: all of it is done there")
    return seen, tuple(notes)


def _states(texts: Texts, step: Step) -> dict[str, FileState | None]:
    """The files for `Unit.foresee`. One with an entry of drift beside it counts as changed: its text is the same."""
    states: dict[str, FileState | None] = {}
    for path, text in texts.items():
        file = _file(path, step.unit)
        if file == path:
            states.setdefault(path, FileState(text.encode()))
        elif file:
            states[file] = None
    return states
