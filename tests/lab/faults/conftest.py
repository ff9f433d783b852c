"""The faults of all hosts, tried once, and their table at the end of the run."""

from __future__ import annotations

import pytest
from rich.console import Console

from ops.configuration import tier_of
from ops.stack import Stack
from tests.lab.faults.fault_plan import requests
from tests.lab.faults.on_hosts import Outcome, take_all_through
from tests.lab.faults.table import table

TRIED: list[Outcome] = []


@pytest.fixture(scope="session")
def outcomes(stack: Stack) -> list[Outcome]:
    """Every fault of every host."""
    tier = tier_of("lab")
    assert tier.proxy
    passwords = {
        user.name: stack.pulumi("config", "get", f"password-{user.name}", quiet=True).strip()
        for user in tier.proxy.users
    }
    TRIED.extend(take_all_through(requests(tier, passwords)))
    return TRIED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table, also where every test has passed."""
    if TRIED:
        console = Console(width=140)
        with console.capture() as captured:
            console.print(table(TRIED))
        terminalreporter.write(f"\n{captured.get()}")
