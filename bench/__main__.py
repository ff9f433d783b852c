"""`python -m bench`: measure, print, write docs/benchmarks.md and the measured part of docs/scale.md; `make bench`
calls it. `python -m bench scale`: the latter alone. It needs the stack `lab` up.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markdown import Markdown

from bench import cold, scale, scale_page, small, warm
from bench.hosts import BenchError
from bench.machine import machine
from bench.report import Section, markdown, table
from bench.running import Bench, running
from lab.process import LabError

DOCS = Path(__file__).parents[1] / "docs"
PAGE, SCALE_PAGE = DOCS / "benchmarks.md", DOCS / "scale.md"
INTRO = """\
# Benchmarks

Written by `make bench`, which measures everything here in one run, side by side, on the lab's registry host: it is the
ratios that count. "Ours" is the site as it is rendered for a tier, in an nginx of its own with the settings of the
host's; static files, and proxies as people else write them, are served by the same nginx and its same workers.
"""


def main() -> int:
    """Gives the exit status: 0 also where a goal is missed, since a machine may be busy; the table says so."""
    signal.signal(signal.SIGTERM, _end)
    console = Console()
    console.width = console.width if console.is_terminal else 160
    began = time.monotonic()
    try:
        facts = machine()
        sections = []
        with running() as bench:
            for each in () if sys.argv[1:] == ["scale"] else _measured(bench):
                sections.append(each)
                console.print(table(each))
            seen = scale.measure(bench)
            console.print(Markdown(scale_page.part(facts, seen)))
    except (BenchError, LabError) as wrong:
        print(f"bench: {wrong}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; what it had on the hosts is taken away", file=sys.stderr)
        return 130
    if sections:
        PAGE.write_text(markdown(INTRO, facts, sections))
    SCALE_PAGE.write_text(scale_page.written(SCALE_PAGE.read_text(), facts, seen))
    pages = [each.relative_to(DOCS.parent) for each in (PAGE, SCALE_PAGE) if sections or each == SCALE_PAGE]
    console.print(f"{time.monotonic() - began:.0f} s; written to {' and '.join(map(str, pages))}")
    return 0


def _measured(bench: Bench) -> Iterator[Section]:
    yield warm.measure(bench)
    yield small.measure()
    yield from cold.measure(bench)


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())
