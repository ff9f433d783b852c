"""`python -m bench.fleet [HOSTS…]`: measure, print, write the table of docs/fleet.md; `make bench-scale` calls it.

With numbers of hosts, or with tools, it measures those and writes nothing.
"""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from bench.fleet.hosts import LARGEST
from bench.fleet.measure import TOOLS, Measured, Texts, measured
from bench.fleet.page import PAGE, summary, table, written
from lab.process import LabError
from toolchain.engine import restore_interrupt

SIZES = (10, 50, LARGEST)


def main(
    hosts: Annotated[list[int] | None, typer.Argument(help="Numbers of hosts; the page's, if none is said.")] = None,
    tool: Annotated[list[str] | None, typer.Option(help=f"Only this one, of: {'; '.join(TOOLS)}.")] = None,
) -> None:
    """See the module."""
    restore_interrupt()
    signal.signal(signal.SIGTERM, _end)
    if unknown := set(tool or ()) - TOOLS.keys():
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {'; '.join(TOOLS)}", param_hint="--tool")
    console = Console()
    found: list[Measured] = []
    began = time.monotonic()
    try:
        for count in hosts or SIZES:
            wanted: dict[int, Texts] = {}
            for each in measured(tool or list(TOOLS), count, wanted):
                found.append(each)
                console.print(summary(each), highlight=False)
    except LabError as wrong:
        print(f"bench: {wrong}", file=sys.stderr)
        raise typer.Exit(1) from wrong
    except KeyboardInterrupt as stopped:
        print("bench: interrupted; the light hosts are taken away", file=sys.stderr)
        raise typer.Exit(130) from stopped
    console.print(table(found))
    if not hosts and not tool:
        PAGE.write_text(written(PAGE.read_text(), found))
    console.print(f"{time.monotonic() - began:.0f} s")


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(143)


if __name__ == "__main__":
    typer.run(main)
