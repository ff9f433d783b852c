"""The table of faults: broken, named, healed."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from tests.lab.doctor.trying import Outcome

TRIED: list[Outcome] = []
"""Every fault of this run."""


def table(outcomes: Iterable[Outcome]) -> Table:
    """A line for each fault."""
    made = Table("broken", "on", "doctor must say", "named", "s", "healed by", "left", title="Faults")
    for each in outcomes:
        named = "✓" if each.named == each.expected else f"✗ {_told(each.named)}"
        how = "its commands" if not each.fault.heals else "its owner"
        if each.fault.instead:
            how = "another image"
        left = "✓" if not each.left else f"✗ {_told(each.left)}"
        made.add_row(each.fault.name, each.fault.broken_on, each.fault.cause, named, f"{each.seconds:.1f}", how, left)
    return made


def _told(found: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{host}: {cause}" for host, cause in sorted(found)) or "nothing"
