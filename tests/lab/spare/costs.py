"""What a fault or a change costs those who pull and push meanwhile: measured by tests, printed as one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from rich.table import Table

PROPERTY = "availability"
"""Under which name a test's report carries it, from the worker to the process that prints."""


@dataclass(frozen=True)
class Cost:
    """`in_flight`: requests (or whole pulls or pushes, as `what` says) while it lasted. `lost`: those that failed.

    `seconds`: from the fault to the first answer after the last failure; None where nothing failed.
    """

    fault: str
    what: str
    in_flight: int
    lost: int
    seconds: float | None

    def told(self, record: Callable[[str, object], None]) -> None:
        """Put it into the table, by pytest's fixture `record_property`."""
        record(PROPERTY, json.dumps(asdict(self)))


def table(costs: Iterable[Cost]) -> Table:
    """A line for each."""
    made = Table("fault", "of", "in flight", "lost", "seconds to recover", title="Availability")
    for each in costs:
        recovered = "-" if each.seconds is None else f"{each.seconds:.1f}"
        made.add_row(each.fault, each.what, str(each.in_flight), str(each.lost), recovered)
    return made


def found(properties: Iterable[tuple[str, object]]) -> list[Cost]:
    """Those in the reports' `user_properties`, by their faults."""
    costs = [Cost(**json.loads(str(value))) for name, value in properties if name == PROPERTY]
    return sorted(costs, key=lambda each: each.fault)
