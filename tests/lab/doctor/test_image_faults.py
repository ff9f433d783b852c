"""Decides that doctor names what is wrong with one image, asked for by its name: most are in registries of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.stack import Stack
from tests.lab.doctor.fault import Fault, waves
from tests.lab.doctor.foreign_registries import foreign_registries
from tests.lab.doctor.site import Lab
from tests.lab.doctor.table import tell
from tests.lab.doctor.trying import Outcome, others, seen, try_wave
from tests.lab.hosts import HOSTS

pytestmark = pytest.mark.lab
[WAVE] = waves(Path(__file__).with_name("image_faults.yaml"))


@pytest.fixture(scope="module")
def outcomes(stack: Stack) -> Iterator[list[Outcome]]:
    """All of them, there at the same time; afterwards the hosts are as before."""
    before = {name: seen(name) for name in HOSTS}
    with foreign_registries():
        tried = try_wave(Lab(stack), WAVE, [])
    yield tried
    assert not others(before)


@pytest.mark.parametrize("fault", WAVE, ids=lambda fault: f"{fault.cause}-{fault.host}")
def test_it_is_named_and_healed(
    fault: Fault, outcomes: list[Outcome], record_property: Callable[[str, object], None]
) -> None:
    [tried] = [each for each in outcomes if each.fault == fault]
    tell([tried], record_property)
    assert tried.named == tried.expected, tried.told
    assert not tried.left
    assert tried.seconds < 10
