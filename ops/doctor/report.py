"""What doctor found, for people: a table of the hosts, then each finding with its cause and its fix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 140
"""Columns where the output is no terminal."""


def show(document: Mapping[str, Any]) -> None:
    """Print the document of `make doctor JSON=1`."""
    console = Console()
    console.width = console.width if console.is_terminal else WIDTH
    table = Table("host", "asked", "steps", "seconds", title="Doctor")
    for each in document["hosts"]:
        table.add_row(*(Text(text, overflow="fold") for text in row(each)))
    console.print(table)
    for line in lines(document):
        console.print(Text(line), soft_wrap=True)


def row(host: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """A host's row."""
    if host["error"]:
        return host["host"], "could not be asked", host["error"], ""
    pulls = sorted({each["pull"] for each in host["steps"] if each["pull"]})
    told = [f"{each['step']}: {each['said']}" for each in host["steps"] if each["state"] != "ok"]
    steps = "\n".join(told) or f"{len(host['steps'])} ok"
    return host["host"], "\n".join(pulls) or "what it serves", steps, f"{host['seconds']:.1f}"


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Each finding in a few lines; who was not heard may have one as well."""
    silent = ", ".join(each["host"] for each in document["hosts"] if each["error"])
    if not document["findings"]:
        yield f"Nothing found, but {silent} could not be asked." if silent else "Nothing found."
    for each in document["findings"]:
        yield ""
        yield f"{each['host']}: {each['title']}  [{each['cause']}]"
        yield f"  where:    {each['where']}"
        yield f"  evidence: {each['evidence']}"
        yield f"  cause:    {each['because']}"
        yield f"  fix:      {each['fix']}"
        for command in each["commands"]:
            yield f"    {command['on']}# {command['line']}"
        for also in each["consequences"]:
            yield f"  so also:  {also['host']}: {also['cause']}: {also['evidence']}"
