"""Prints the table of what faults and changes cost."""

from __future__ import annotations

import pytest
from rich.console import Console

from tests.lab.spare import costs


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Behind the failures, where a test has measured something."""
    reports = [each for some in terminalreporter.stats.values() for each in some if isinstance(each, pytest.TestReport)]
    measured = [cost for each in reports if each.when == "call" for cost in costs.found(each.user_properties)]
    if measured:
        with (console := Console(width=120)).capture() as captured:
            console.print(costs.table(sorted(measured, key=lambda each: each.fault)))
        terminalreporter.write(captured.get())
