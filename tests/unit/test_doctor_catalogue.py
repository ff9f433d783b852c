"""doctor's catalogue: whole, the same in the docs, and known by the words that runtimes were seen to say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from doctor.causes import AREA_OF, AREAS, CATALOGUE
from doctor.finding import CONTROLLER, Cause
from ops.doctor.found import PLACE
from ops.troubleshooting import PAGE, page

SAID: dict[str, list[str]] = json.loads((Path(__file__).parent.parent / "cases" / "doctor" / "said.json").read_text())
SAYS_LITTLE = re.compile(
    r": not found\"?$|404 Not Found|StatusNotFound|context canceled|^denied$|after status: 40"
    r"|^> |dial tc$|ns=docker\.io$"
)
"""Lines that many causes have in common, or that the journal has cut."""
OF_THE_WAY = {"name", "connection", "tls", "access", "content", "host"}


def test_the_page_is_the_catalogue() -> None:
    assert PAGE.read_text() == page() + "\n", "python -m ops.troubleshooting writes it anew"


@pytest.mark.parametrize("cause", CATALOGUE.values(), ids=list(CATALOGUE))
def test_a_cause_is_whole(cause: Cause) -> None:
    assert all((cause.title, cause.because, cause.fix))
    assert set(cause.explains) <= set(CATALOGUE)
    assert cause.name not in cause.explains
    for pattern in cause.said:
        re.compile(pattern)
    for on, _ in cause.commands:
        assert on == CONTROLLER or PLACE.fullmatch(on), f"{on}: where that is, nobody knows"


@pytest.mark.parametrize("cause", [each for each in SAID if AREA_OF.get(each) in OF_THE_WAY])
def test_the_words_of_runtimes_are_known(cause: str) -> None:
    told = {line for line in SAID[cause] if not SAYS_LITTLE.search(line)}
    assert {line for line in told if not any(re.search(each, line) for each in CATALOGUE[cause].said)} == set()


def test_every_area_has_causes_and_a_place_in_the_docs() -> None:
    for area in AREAS:
        assert f"](#{area}) |" in page()
