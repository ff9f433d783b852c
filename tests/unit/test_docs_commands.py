"""Decides that what the docs name is there: commands of make, ops and the lab, each link, files of CONTRIBUTING.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from ops.__main__ import app
from tests.checkout import REAL

PAGES = (*sorted(REAL.glob("*.md")), *sorted((REAL / "docs").glob("*.md")))
MAKE = re.compile(r"\bmake ([a-z][a-z-]*)((?: +[A-Z]+=\S+)*)")
OPS = re.compile(r"python -m ops ([a-z][a-z-]*)")
LAB = re.compile(r"(?<![\w/.])lab/([a-z-]+)\b(?![/.])")
LINK = re.compile(r"\]\(([^)#:]+)(?:#([^)]*))?\)")


def code(text: str) -> Iterator[str]:
    """What stands in a page as code: inline, indented, or between fences."""
    fenced = re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    yield from fenced
    for each in fenced:
        text = text.replace(each, "")
    yield from re.findall(r"^ {4}.*$", text, re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", text)


def targets() -> dict[str, set[str]]:
    """make's targets that help lists, each with the variables that it takes."""
    makefile = (REAL / "Makefile").read_text()
    found = re.findall(r"^([a-z-]+):.*## .*\n((?:\t.*\n)*)", makefile, re.MULTILINE)
    return {name: set(re.findall(r"\$\(([A-Z]+)\)", recipe)) for name, recipe in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_s_targets_and_options(page: Path) -> None:
    known = targets()
    assert {"STACK", "HOST"} <= known["up"]
    for each in code(page.read_text()):
        for target, options in MAKE.findall(each):
            assert target in known, f"make {target}: {each}"
            for name in re.findall(r"([A-Z]+)=", options):
                assert name in known[target], f"make {target} takes no {name}: {each}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_ops_and_of_the_lab(page: Path) -> None:
    known = set(get_command(app).list_commands(None))  # type: ignore[attr-defined]
    for each in code(page.read_text()):
        for name in OPS.findall(each):
            assert name in known, each
        for name in LAB.findall(each):
            assert (REAL / "lab" / name).exists() or list((REAL / "lab").glob(f"{name}.*")), each


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page: Path) -> None:
    for place, heading in LINK.findall(page.read_text()):
        target = (page.parent / place).resolve()
        assert target.exists(), place
        if heading:
            assert heading in headings(target), f"{place}#{heading}"


def test_files_and_tests_that_contributing_names() -> None:
    """A path in code, whole or as a pattern; and a test's name."""
    named = re.findall(r"`([^`\n]+)`", (REAL / "CONTRIBUTING.md").read_text())
    files = [each for each in named if "/" in each and re.fullmatch(r"[\w./*<>-]+", each)]
    assert len(files) > 20
    assert [each for each in files if not list(REAL.glob(re.sub(r"<\w+>", "*", each).rstrip("/")))] == []
    tests = "".join(each.read_text() for each in (REAL / "tests").rglob("test_*.py"))
    assert [each for each in named if each.startswith("test_") and f"def {each}(" not in tests] == []


def headings(page: Path) -> set[str]:
    """Their anchors, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in found}
