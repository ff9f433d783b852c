"""Decides: a name that runtimes refuse is told with the reason, and any other is taken apart as they do it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from doctor.finding import BROKEN, OK
from doctor.pull import Image
from doctor.steps import reference

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases/doctor/references.yaml").read_text())


@pytest.mark.parametrize("text", CASES["names"])
def test_a_name_is_taken_apart(text: str) -> None:
    seen, image = reference.look(text)
    assert (seen.state, image) == (OK, Image(*CASES["names"][text]))


@pytest.mark.parametrize("text", CASES["refused"])
def test_what_is_no_name_is_refused_with_the_reason(text: str) -> None:
    seen, image = reference.look(text)
    cause, words = CASES["refused"][text]
    assert (seen.state, image, [each.cause for each in seen.findings]) == (BROKEN, None, [cause])
    assert words in seen.findings[0].evidence


def test_what_to_type_in_place_of_a_url_is_a_name_and_safe_in_a_shell() -> None:
    seen, _ = reference.look("http://192.168.1.11/private/app:1")
    assert reference.look(seen.findings[0].values["instead"])[1] == Image("192.168.1.11", "private/app", "1")
    seen, _ = reference.look("http://x/$(reboot)")
    assert seen.findings[0].values["instead"] == "'x/$(reboot)'"
