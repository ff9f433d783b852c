"""The table of faults: for each unit and host, how many were tried, and how many survived."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from rich.table import Table

from tests.lab.faults.on_hosts import Outcome

PROPERTY = "faults"
"""Under which name a test's report carries its outcomes, from the worker to the process that prints."""
KINDS = ("killed", "going back", "no room", "refused", "dies", "stopped", "connection", "at once")
"""The columns: the outcomes' kinds, which docs/faults.md explains."""


def tell(outcomes: Iterable[Outcome], record: Callable[[str, object], None]) -> None:
    """Put outcomes into the table, by pytest's fixture `record_property`."""
    record(PROPERTY, json.dumps(list(outcomes)))


def found(properties: Iterable[tuple[str, object]]) -> list[Outcome]:
    """Those in the reports' `user_properties`, each once."""
    return list(
        dict.fromkeys(
            Outcome(*each) for name, value in properties if name == PROPERTY for each in json.loads(str(value))
        )
    )


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
