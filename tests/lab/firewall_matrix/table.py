"""The matrix as a table: a row for each listener under each backend, a column for each way to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from tests.lab.firewall_matrix.cells import LISTENERS, WAYS, Cell

PROPERTY = "firewall"
"""Under which name a test's report carries its cells, from the worker to the process that prints."""
TITLE = (
    "Who reaches what: real connections to `registry` (Docker 20.10, whose own rules stay in iptables-nft throughout), "
    "by the backend of our rules"
)


def tell(cells: Iterable[Cell], record: Callable[[str, object], None]) -> None:
    """Put cells into the table, by pytest's fixture `record_property`."""
    record(
        PROPERTY,
        json.dumps([(each.backend, each.listener.title, each.way.title, each.seen, each.skipped) for each in cells]),
    )


def found(properties: Iterable[tuple[str, object]]) -> list[Cell]:
    """Those in the reports' `user_properties`."""
    listeners = {each.title: each for each in LISTENERS}
    ways = {each.title: each for each in WAYS}
    told = [each for name, value in properties if name == PROPERTY for each in json.loads(str(value))]
    return [Cell(backend, listeners[listener], ways[way], *seen) for backend, listener, way, *seen in told]


def matrix(cells: Sequence[Cell]) -> RenderableType:
    """The table, and the reasons of the cells that were skipped below it."""
    reasons = list(dict.fromkeys(each.skipped for each in cells if each.skipped))
    table = Table(title=TITLE)
    for title in ("rules", "what listens"):
        table.add_column(title, no_wrap=True)
    for way in WAYS:
        table.add_column(way.title)
    for backend in dict.fromkeys(each.backend for each in cells):
        of_backend = [each for each in cells if each.backend == backend]
        for listener in dict.fromkeys(each.listener for each in of_backend):
            row = [each for each in of_backend if each.listener == listener]
            table.add_row(backend, listener.title, *(_text(each, reasons) for each in row))
        table.add_section()
    tried = [each for each in cells if not each.skipped]
    right = sum(each.right for each in tried)
    notes = [f"skipped ({number}): {reason}" for number, reason in enumerate(reasons, 1)]
    return Group(table, f"{right} of {len(tried)} cells as they must be; {len(cells) - len(tried)} skipped", *notes)


def _text(cell: Cell, reasons: Sequence[str]) -> str:
    if cell.skipped:
        return f"skipped ({reasons.index(cell.skipped) + 1})"
    return cell.seen if cell.right else f"[red]{cell.seen}, not {cell.wanted}[/]"
