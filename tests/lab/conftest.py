"""The lab's stack, selected once for all tests, which leave it up; who may run beside whom; the tables at the end."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from ops.stack import LAB, Stack, selected
from tests.lab.doctor import table as doctor
from tests.lab.faults import table as faults
from tests.lab.firewall_matrix import table as firewall
from tests.lab.spare import costs

HERE = Path(__file__).parent
STACK = "stack"
ELSEWHERE = {"test_docker_plugin_*.py": "docker"}
"""Files of this folder that work on no host of the stack: on the Docker that carries the lab."""
Properties = Sequence[tuple[str, object]]
TABLES: Sequence[tuple[int, Callable[[Properties], Sequence[Any]], Callable[[Sequence[Any]], RenderableType]]] = (
    (200, firewall.found, firewall.matrix),
    (140, faults.found, faults.table),
    (150, doctor.found, doctor.table),
    (120, costs.found, costs.table),
)
"""Each: how wide it is, what a test's report has for it, and the table of all that."""


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The lab's stack, which `make up` has brought up."""
    with selected(LAB) as chosen:
        yield chosen


def works_on(file: Path) -> str:
    """What the tests of a file work on; those with the same run in one process, one after the other.

    On the spare hosts each file has hosts to itself (spare/site.py).
    """
    if not file.is_relative_to(HERE) or file.is_relative_to(HERE / "spare"):
        return str(file)
    inside = file.relative_to(HERE)
    return next((what for name, what in ELSEWHERE.items() if fnmatch.fnmatch(inside.name, name)), STACK)


class BesideEachOther(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """How pytest-xdist deals out the tests. (Its loadgroup is for this too, but does nothing under pytest 9.2.)"""

    def _split_scope(self, nodeid: str) -> str:
        return works_on(self.config.rootpath / nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BesideEachOther:
    """Whatever `--dist` says."""
    return BesideEachOther(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests have measured, behind the failures, also where every test has passed."""
    reports = [each for some in terminalreporter.stats.values() for each in some if isinstance(each, pytest.TestReport)]
    properties = [each for report in reports if report.when == "call" for each in report.user_properties]
    for width, found, table in TABLES:
        if measured := found(properties):
            with (console := Console(width=width)).capture() as captured:
                console.print(table(measured))
            terminalreporter.write(f"\n{captured.get()}")
