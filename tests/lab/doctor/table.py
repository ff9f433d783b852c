"""The table of faults: broken, named, healed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from rich.table import Table

from tests.lab.doctor.trying import Outcome

PROPERTY = "doctor"
"""Under which name a test's report carries its lines, from the worker to the process that prints."""
Line = list[str]


def tell(outcomes: Iterable[Outcome], record: Callable[[str, object], None]) -> None:
    """Put faults into the table, by pytest's fixture `record_property`."""
    record(PROPERTY, json.dumps(_lines(outcomes)))


def found(properties: Iterable[tuple[str, object]]) -> list[Line]:
    """The lines in the reports' `user_properties`."""
    return [line for name, value in properties if name == PROPERTY for line in json.loads(str(value))]


def table(lines: Iterable[Line]) -> Table:
    """A line for each fault."""
    made = Table("broken", "on", "doctor must say", "named", "s", "healed by", "left", title="Faults")
    for each in lines:
        made.add_row(*each)
    return made


def _lines(outcomes: Iterable[Outcome]) -> list[Line]:
    lines = []
    for each in outcomes:
        named = "✓" if each.named == each.expected else f"✗ {_told(each.named)}"
        how = "its commands" if not each.fault.heals else "its owner"
        if each.fault.instead:
            how = "another image"
        left = "✓" if not each.left else f"✗ {_told(each.left)}"
        fault = each.fault
        lines.append([fault.name, fault.broken_on, fault.cause, named, f"{each.seconds:.1f}", how, left])
    return lines


def _told(found: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{host}: {cause}" for host, cause in sorted(found)) or "nothing"
