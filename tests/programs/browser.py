"""Debian's Chromium without a window, for tests of what people see; axe-core for what hinders who does not see it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from lab import packages

PROGRAMS = {"chromium": "chromium", "/usr/share/fonts/opentype/inter": "fonts-inter"}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""The sets of axe-core's rules that a page must keep."""


@contextmanager
def browser(*arguments: str) -> Iterator[Browser]:
    """Every name is this machine, so that nothing can be asked of anybody else."""
    packages.need(PROGRAMS)
    names = "--host-resolver-rules=MAP * 127.0.0.1"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", names, *arguments]
        )
        try:
            yield chromium
        finally:
            chromium.close()


def hindrances(page: Page) -> list[str]:
    """What axe-core finds: the rule, and the element that breaks it."""
    found: dict[str, Any] = Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}}).response
    assert found["passes"], "axe-core has judged nothing"
    return [
        f"{each['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for each in found["violations"]
        for node in each["nodes"]
    ]
