"""What was measured, beside what it is measured by: a table for people, and docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.table import Table

HEADS = ("what", "ours", "compared with", "ratio", "goal", "met")


@dataclass(frozen=True)
class Row:
    """One comparison. `ours`, `other`: figures with their units. `goal`: what the ratio must be, at least or at most;
    None where there is none."""

    what: str
    ours: str
    other: str
    ratio: float | None = None
    goal: float | None = None
    bound: Literal["at least", "at most"] = "at least"

    @property
    def met(self) -> bool | None:
        """Whether the goal is; None without one. The ratio counts as it is shown."""
        if self.goal is None or self.ratio is None:
            return None
        shown = round(self.ratio, 2)
        return shown >= self.goal if self.bound == "at least" else shown <= self.goal

    def cells(self) -> tuple[str, ...]:
        """The row's texts, in the order of `HEADS`."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        goal = "" if self.goal is None else f"{self.bound} {self.goal:.2f}"
        return (self.what, self.ours, self.other, ratio, goal, {True: "yes", False: "no", None: ""}[self.met])


@dataclass(frozen=True)
class Section:
    """Rows that belong together, and how they came about."""

    title: str
    how: str
    rows: Sequence[Row]


def table(section: Section) -> Table:
    """For a terminal."""
    found = Table(*HEADS, title=section.title, title_justify="left")
    for row in section.rows:
        style = {True: "green", False: "red", None: ""}[row.met]
        found.add_row(*row.cells(), style=style)
    return found


def markdown(intro: str, machine: Mapping[str, str], sections: Iterable[Section]) -> str:
    """The page."""
    parts = [intro.strip(), markdown_table(("machine", ""), machine.items())]
    for each in sections:
        parts += [f"## {each.title}", each.how, markdown_table(HEADS, (row.cells() for row in each.rows))]
    return "\n\n".join(parts) + "\n"


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """One table of it."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(each)} |" for each in lines)
