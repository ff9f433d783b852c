"""All faults, tried once, and their table at the end of the run."""

from __future__ import annotations

import pytest
from rich.console import Console

from tests.lab.doctor.table import TRIED, table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table, also where every test has passed."""
    if TRIED:
        console = Console(width=150)
        with console.capture() as captured:
            console.print(table(TRIED))
        terminalreporter.write(f"\n{captured.get()}")
