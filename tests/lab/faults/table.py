"""The table of faults: for each unit and host, how many were tried, and how many survived."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from tests.lab.faults.on_hosts import Outcome

KINDS = ("killed", "going back", "no room", "refused", "dies", "stopped", "connection", "at once")
"""The columns: the outcomes' kinds, which docs/faults.md explains."""


def table(outcomes: Sequence[Outcome]) -> Table:
    """A row for each unit on each host: survived of tried."""
    made = Table("unit", "host", *KINDS, "all", title="Faults: survived of tried")
    for host, unit in dict.fromkeys((each.host, each.unit) for each in outcomes):
        of_unit = [each for each in outcomes if (each.host, each.unit) == (host, unit)]
        cells = [cell([each for each in of_unit if each.kind == kind]) for kind in KINDS]
        made.add_row(unit, host, *cells, cell(of_unit))
    made.add_section()
    made.add_row("all", "", *(cell([each for each in outcomes if each.kind == kind]) for kind in KINDS), cell(outcomes))
    return made


def cell(outcomes: Sequence[Outcome]) -> str:
    """Survived of tried; a dash where nothing was."""
    if not outcomes:
        return "–"
    survived = sum(not each.seen for each in outcomes)
    text = f"{survived}/{len(outcomes)}"
    return text if survived == len(outcomes) else f"[red]{text}[/]"
