"""The measured part of docs/fleet.md. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from bench.fleet.measure import Measured
from bench.report import markdown_table

PAGE = Path(__file__).parents[2] / "docs" / "fleet.md"
BEGIN, END = "<!-- Written by `make bench-scale`: from here -->", "<!-- to here -->"
HEADS = (
    "hosts",
    "tool",
    "what",
    "seconds",
    "as ours",
    "CPU seconds here",
    "CPU seconds on a host",
    "connections a host",
    "largest process",
    "all processes",
)


def summary(each: Measured) -> str:
    """One line of it, as it is measured."""
    cost = each.cost
    seconds = f"{cost.seconds:.1f} s, CPU {cost.own:.1f} s here and {cost.hosts / each.hosts:.2f} s on a host"
    return f"{each.hosts} hosts, {each.tool}, {each.step}: {seconds}, {cost.connections} connections a host"


def table(found: Sequence[Measured]) -> Table:
    """For a terminal."""
    made = Table(*HEADS)
    for row in _rows(found):
        made.add_row(*row)
    return made


def written(page: str, found: Sequence[Measured]) -> str:
    """The page with its measured part anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    facts = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores for the tool and all hosts."
    return f"{before}{BEGIN}\n\n{facts}\n\n{markdown_table(HEADS, _rows(found))}\n\n{END}{after}"


def _rows(found: Sequence[Measured]) -> list[tuple[str, ...]]:
    ours = {(each.hosts, each.step): each.cost.seconds for each in found if each.tool == "ours"}
    return [
        (
            str(each.hosts),
            each.tool,
            each.step,
            f"{each.cost.seconds:.1f}",
            _times(each.cost.seconds, ours.get((each.hosts, each.step))),
            f"{each.cost.own:.1f}",
            f"{each.cost.hosts / each.hosts:.2f}",
            str(each.cost.connections),
            f"{each.cost.largest / 2**20:.0f} MB",
            f"{each.cost.memory / 2**20:.0f} MB",
        )
        for each in sorted(found, key=lambda each: each.hosts)
    ]


def _times(seconds: float, ours: float | None) -> str:
    return "" if ours is None else f"{seconds / ours:.1f} x"
