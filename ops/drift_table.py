"""Drift for people: a row for each key, and the changed lines of each file of ours."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.drift_marks import Drift, Found, found_text, is_drift

WIDTH = 140
"""Columns where the output is no terminal."""
Row = tuple[str, str, str, str]
"""File, key, wanted, found."""


def show(found: Found, rendered: Mapping[str, Mapping[str, str]]) -> None:
    """Print what has drifted. `rendered`: what is wanted of files of ours, by host and path."""
    table = Table("host", "unit", "file", "key", "wanted", "found", title="Drift")
    diffs = []
    for host, units in found.items():
        for unit, drift in units.items():
            if is_drift(drift):
                for row in rows(drift):
                    table.add_row(*(Text(each, overflow="fold") for each in (host, unit, *row)))
                diffs += [f"\n{host}:{line}" for line in changed_lines(drift, rendered.get(host, {}))]
    console = Console()
    console.width = console.width if console.is_terminal else WIDTH
    console.print(table)
    for diff in diffs:
        console.print(Text(diff))


def rows(drift: Drift) -> Iterator[Row]:
    """The rows of one unit."""
    for path, file in drift["files"].items():
        if "text" in file:
            yield path, "", "as the stack wrote it", "no file" if file["text"] is None else "changed, see below"
        if "why" in file:
            yield path, "", "", file["why"]
        for each in file["keys"]:
            yield path, each["key"], _value(each["wanted"]), _value(each["found"])
    if "live" in drift:
        yield "", "running", "as the files say", drift["live"]


def changed_lines(drift: Drift, rendered: Mapping[str, str]) -> Iterator[str]:
    """A unified diff for each file of ours that is there with another content."""
    for path, file in drift["files"].items():
        if not file.get("text"):
            continue
        before = rendered.get(path)
        if before is None:  # such as a password file, which `documents` does not show
            yield f"{path} holds:\n{file['text']}"
            continue
        found = found_text(file["text"], before) or ""
        lines = difflib.unified_diff(before.splitlines(), found.splitlines(), "wanted", "found", lineterm="")
        yield f"{path}\n" + ("\n".join(lines) or "only what is masked differs")


def _value(value: object) -> str:
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value)
