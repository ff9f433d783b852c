"""The matrix, measured once, and its table at the end of the run."""

from __future__ import annotations

import pytest
from rich.console import Console

from ops.stack import Stack
from tests.lab.firewall_matrix.cells import Cell
from tests.lab.firewall_matrix.measuring import Measured, measured
from tests.lab.firewall_matrix.table import matrix

CELLS: list[Cell] = []


@pytest.fixture(scope="session")
def whole(stack: Stack) -> Measured:
    """The measurement."""
    found = measured()
    CELLS.extend(found.cells)
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table, also where every test has passed."""
    if CELLS:
        console = Console(width=200)
        with console.capture() as captured:
            console.print(matrix(CELLS))
        terminalreporter.write(f"\n{captured.get()}")
