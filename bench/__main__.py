"""`python -m bench`: measure, print, write docs/benchmarks.md; `make bench` calls it. It needs the stack `lab` up."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from rich.console import Console

from bench import cold, small, warm
from bench.hosts import BenchError
from bench.machine import machine
from bench.report import Section, markdown, table
from bench.running import Bench, running
from lab.process import LabError

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
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
            for each in _measured(bench):
                sections.append(each)
                console.print(table(each))
    except (BenchError, LabError) as wrong:
        print(f"bench: {wrong}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; what it had on the hosts is taken away", file=sys.stderr)
        return 130
    PAGE.write_text(markdown(INTRO, facts, sections))
    console.print(f"{time.monotonic() - began:.0f} s; written to {PAGE.relative_to(PAGE.parents[1])}")
    return 0


def _measured(bench: Bench) -> Iterator[Section]:
    yield warm.measure(bench)
    yield small.measure()
    yield from cold.measure(bench)


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())
