"""A proposal for people: a stack's file, and as comments behind it all that a file can't say. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from ops.adopt.proposal import Proposal
from ops.adopt.said import yaml_lines

WIDTH = 118


def lines(proposal: Proposal, project: str, stack: str, others: Mapping[str, Any]) -> Iterator[str]:
    """The lines. `others`: what the stack's file has beside the settings in clear, secrets above all."""
    yield f"# Proposed by 'make adopt' from what was found; docs/adopt.md. Put it into stacks/Pulumi.{stack}.yaml."
    yield "config:"
    for key, each in proposal.tree.items():
        yield from yaml_lines({f"{project}:{key}": each}, "  ")
    rest = dict(others)
    if hidden := rest.pop("config", None):
        yield from textwrap.indent(yaml.safe_dump(hidden, sort_keys=False), "  ").splitlines()
    if rest:
        yield from yaml.safe_dump(rest, sort_keys=False).splitlines()
    notes = proposal.notes
    there = {key.partition(":")[2] for key in others.get("config", ())}
    missing = sorted((key, where) for key, where in notes.secrets.items() if key not in there)
    secrets = [f"make secret STACK={stack} KEY={key}    # {where}" for key, where in missing]
    files = [f"{path}: a copy of {where}" for path, where in sorted(notes.files.items())]
    yield from _part("Secrets to set, by name; their values were not taken", secrets)
    yield from _part("Certificates to copy below the project", files)
    yield from _part("What taking over changes", notes.changes)
    yield from _part("What was found and could not be expressed", notes.left)
    yield from _part("What these settings still lack", proposal.errors)


def _part(title: str, entries: list[str]) -> Iterator[str]:
    if not entries:
        return
    yield "#"
    yield f"# {title}:"
    for each in dict.fromkeys(entries):
        first, *more = each.splitlines()
        yield from textwrap.wrap(
            first,
            WIDTH,
            initial_indent="# - ",
            subsequent_indent="#   ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        yield from (f"#     {line}" for line in more)
