"""A preview for its reader: which resources change, then for each host what happens there and the changed lines. Pure.

As text for a terminal, and as Markdown for a comment on a pull request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from ops.deployment import STACK
from ops.preview_effects import Effect, FileDiff, effects, unified
from ops.preview_plan import OURS, Plan, Step

COMMENT_LIMIT = 65_536
"""Characters that GitHub takes for a comment."""
WORDS = {"create": "to create", "update": "to update", "replace": "to replace", "delete": "to delete"}
UNCHANGED = "nothing changes"
FENCE, FOLD_END = "```", "</details>"
SHORT = 40
"""Lines of a diff that stands open in a comment."""
WHY = {
    "stdin": "its wish", "create": "hostctl's version", "delete": "hostctl's version",
    "connection": "how the host is reached",
}  # fmt: skip
"""Inputs of a Command, in a reader's words."""


def counted(plan: Plan) -> str:
    """The counts of resources in a line, as the engine has them."""
    changes = [f"{count} {WORDS.get(kind, kind)}" for kind, count in plan.counts.items() if kind != "same"]
    same = plan.counts.get("same", 0)
    return ", ".join([*changes, *([f"{same} unchanged"] if same or not changes else [])])


def changes(plan: Plan) -> bool:
    """Whether `up` would do anything."""
    return bool(plan.counts.keys() - {"same"})


def text(plan: Plan, stack: str) -> Iterator[str]:
    """The lines of the report."""
    shown = _sorted(effects(plan))
    if plan.steps:
        yield from _columns(plan)
        yield ""
    for host, some in _by_host(shown):
        yield f"{host or 'on no host'}"
        for each in some:
            yield f"  {_label(each.step)}: {each.text}"
            yield from (f"    {note}" for note in each.notes)
            for diff in each.diffs:
                yield ""
                yield from diff.lines
            if each.diffs:
                yield ""
        yield ""
    for diff in _outputs(plan):
        yield "outputs of the stack"
        yield from diff.lines
        yield ""
    yield from (f"warning: {each}" for each in plan.notices)
    yield f"{stack}: {counted(plan)}" + ("" if changes(plan) else f": {UNCHANGED}")


def markdown(plan: Plan, stack: str, limit: int = COMMENT_LIMIT) -> str:
    """The same as a comment, at most `limit` characters long; what is left out is said."""
    return cut("\n".join(_markdown(plan, stack)) + "\n", limit)


def marker(stack: str) -> str:
    """The first line of a stack's comment, by which the next one finds it."""
    return f"<!-- http-registry: preview of {stack} -->"


def failure(stack: str, said: str, limit: int = COMMENT_LIMIT) -> str:
    """The comment where the preview fails: what the engine said."""
    fence = _fence([said])
    whole = f"{marker(stack)}\n## Preview of `{stack}` failed\n\n{fence}\n{said.strip()}\n{fence}\n"
    return cut(whole, limit)


def cut(whole: str, limit: int) -> str:
    """Whole lines of it, as many as there is room for, with a sentence that says so where some are left out."""
    if len(whole) <= limit:
        return whole
    lines = whole.splitlines()
    room = limit - 300  # for the sentence, and the end of a fence
    kept: list[str] = []
    for line in lines:
        if len(line) + 1 > room:
            break
        room -= len(line) + 1
        kept.append(line)
    return "\n".join(
        [
            *kept,
            *_ends(kept),
            "",
            f"**Cut: {len(lines) - len(kept)} more lines.** A comment holds {COMMENT_LIMIT:,} characters; the whole "
            "preview is in the job's log.",
            "",
        ]
    )


def _ends(lines: Iterable[str]) -> Iterator[str]:
    """What closes the fence and the fold that are open after these lines."""
    fence, folded = "", False
    for line in lines:
        if not fence and line.startswith(FENCE):
            fence = "`" * (len(line) - len(line.lstrip("`")))
        elif fence and line == fence:
            fence = ""
        elif not fence:
            folded = line.startswith("<details") or (folded and line != FOLD_END)
    yield from [fence] if fence else []
    yield from [FOLD_END] if folded else []


def _markdown(plan: Plan, stack: str) -> Iterator[str]:
    yield marker(stack)
    yield f"## Preview of `{stack}`: {counted(plan)}"
    yield ""
    if not changes(plan):
        yield f"On the hosts {UNCHANGED}."
    shown = _sorted(effects(plan))
    if rows := list(_rows(plan)):
        yield "| | host | resource | because of |"
        yield "| --- | --- | --- | --- |"
        yield from (f"| {change} | {host} | `{name}` | {why} |" for change, host, name, why in rows)
        yield ""
    if rest := _rest(plan):
        yield rest
        yield ""
    for host, some in _by_host(shown):
        yield f"### {host or 'On no host'}"
        yield ""
        yield from (line for each in some for line in _said(each))
        yield ""
        yield from (line for each in some for diff in each.diffs for line in _folded(diff, _label(each.step)))
    for diff in _outputs(plan):
        yield from _folded(diff, "outputs of the stack")
    yield from (f"> {line}" for each in plan.notices for line in f"Warning: {each}".splitlines())


def _said(effect: Effect) -> Iterator[str]:
    yield f"- **{_label(effect.step)}**: {'; '.join((effect.text, *effect.notes))}"


def _folded(diff: FileDiff, label: str) -> Iterator[str]:
    fence = _fence(diff.lines)
    added, removed = (sum(line.startswith(sign) for line in diff.lines[2:]) for sign in "+-")
    opened = " open" if len(diff.lines) <= SHORT else ""
    yield f"<details{opened}><summary>{label}: <code>{diff.path}</code> +{added} -{removed}</summary>"
    yield ""
    yield f"{fence}diff"
    yield from diff.lines
    yield fence
    yield FOLD_END
    yield ""


def _fence(lines: Iterable[str]) -> str:
    """One that none of the lines ends."""
    whole, fence = "\n".join(lines), FENCE
    while fence in whole:
        fence += "`"
    return fence


def _columns(plan: Plan) -> Iterator[str]:
    rows = list(_rows(plan))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(each.ljust(width) for each, width in zip(row, widths, strict=True)).rstrip()
    if rest := _rest(plan):
        yield rest


def _rows(plan: Plan) -> Iterator[tuple[str, str, str, str]]:
    """Change, host, resource, and the inputs that differ."""
    for each in plan.steps:
        if not groups(each):
            yield each.change, each.host, each.name, ", ".join(dict.fromkeys(WHY.get(why, why) for why in each.why))


def _rest(plan: Plan) -> str:
    count = sum(map(groups, plan.steps))
    return f"and {count} that only group or reach these" if count else ""


def groups(step: Step) -> bool:
    """Whether a resource is nothing on a host: a component, or a connection."""
    return step.kind.startswith((OURS, "pulumi:providers:")) or step.kind == STACK


def _label(step: Step) -> str:
    return step.unit or step.name


def _sorted(some: Iterable[Effect]) -> list[Effect]:
    return sorted(some, key=lambda each: each.step.host)


def _by_host(some: Iterable[Effect]) -> Iterator[tuple[str, list[Effect]]]:
    by_host: dict[str, list[Effect]] = {}
    for each in some:
        by_host.setdefault(each.step.host, []).append(each)
    yield from by_host.items()


def _outputs(plan: Plan) -> Iterator[FileDiff]:
    """The other outputs as JSON, where some differ."""
    texts = []
    for end in (0, 1):
        known = {name: ends[end] for name, ends in plan.outputs.items() if ends[end] is not None}
        texts.append(json.dumps(known, indent=2, sort_keys=True) + "\n" if known else None)
    if lines := tuple(unified("outputs", *texts)):
        yield FileDiff("outputs", lines)
