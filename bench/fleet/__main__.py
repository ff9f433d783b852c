"""`python -m bench.fleet [HOSTS…]`: measure, print, write the table of docs/fleet.md; `make bench-scale` calls it.

With numbers of hosts it measures those and writes nothing; with a tool's name before them, that tool alone.
"""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType

from rich.console import Console

from bench.fleet.hosts import LARGEST
from bench.fleet.measure import TOOLS, Measured, Texts, measured
from bench.fleet.page import PAGE, summary, table, written
from lab.process import LabError

SIZES = (10, 50, LARGEST)


def main(arguments: list[str]) -> int:
    """Gives the exit status."""
    signal.signal(signal.SIGTERM, _end)
    sizes = [int(each) for each in arguments if each.isdigit()]
    tools = [each for each in arguments if each in TOOLS]
    console = Console()
    found: list[Measured] = []
    began = time.monotonic()
    try:
        for count in sizes or SIZES:
            wanted: dict[int, Texts] = {}
            for each in measured(tools or list(TOOLS), count, wanted):
                found.append(each)
                console.print(summary(each), highlight=False)
    except LabError as wrong:
        print(f"bench: {wrong}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; the light hosts are taken away", file=sys.stderr)
        return 130
    console.print(table(found))
    if not arguments:
        PAGE.write_text(written(PAGE.read_text(), found))
    console.print(f"{time.monotonic() - began:.0f} s")
    return 0


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
