"""Console blocks of a page of docs: commands as they are typed, and what is seen then.

`$ command` is typed; the lines behind it are what is printed. `…` in a line stands for any text; a line that is nothing
else stands for any lines, also none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FENCE, PROMPT, ANY = "```", "$ ", "…"


@dataclass(frozen=True)
class Typed:
    """One command, and the lines that the page shows of its output."""

    command: str
    shown: tuple[str, ...]

    def is_seen_in(self, output: str) -> bool:
        """Whether the output is what the page shows. Blanks at the ends of lines don't count."""
        text = "".join(f"{line.rstrip()}\n" for line in output.rstrip().splitlines())
        pattern = "".join(r"(?:.*\n)*?" if line == ANY else rf"{_line(line)}\n" for line in self.shown)
        return re.fullmatch(pattern, text) is not None


def typed(page: str) -> Iterator[Typed]:
    """The commands of a page's blocks, in order."""
    for block in re.findall(rf"^{FENCE}console\n(.*?)^{FENCE}$", page, re.MULTILINE | re.DOTALL):
        command = ""
        shown: list[str] = []
        for line in block.splitlines():
            if line.startswith(PROMPT):
                if command:
                    yield Typed(command, tuple(shown))
                command, shown = line.removeprefix(PROMPT), []
            else:
                assert command, f"{line}: what was typed?"
                shown.append(line.rstrip())
        yield Typed(command, tuple(shown))


def _line(line: str) -> str:
    return ".*".join(re.escape(each) for each in line.split(ANY))
