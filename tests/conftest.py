"""`--no-skips`: a skipped test fails, but where the official engine lacks what the test is about."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from toolchain.engine import restore_interrupt

OFFICIAL = "official"


def pytest_configure() -> None:
    """Else each pulumi of a test takes 5 s more where a script has started the tests in the background."""
    restore_interrupt()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail where a test is skipped")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.option.no_skips and OFFICIAL not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped under --no-skips: {report.longrepr}"
    return report
