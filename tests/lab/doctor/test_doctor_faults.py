"""Decides that doctor names what is broken, nothing else, and that what it says heals: by faults of real hosts.

Each wave breaks hosts in ways that don't touch each other. Named means: this cause on this host, and no other finding
anywhere. Healed means: the findings' own commands were typed, where they say, and doctor finds nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ops import doctor
from ops.configuration import tier_of
from ops.stack import Stack
from tests.lab.doctor.fault import Wave, waves
from tests.lab.doctor.site import Lab
from tests.lab.doctor.table import tell
from tests.lab.doctor.trying import others, seen, try_wave
from tests.lab.hosts import HOSTS

pytestmark = pytest.mark.lab
WAVES = waves(Path(__file__).with_name("faults.yaml"))


@pytest.fixture(scope="module")
def before(stack: Stack) -> dict[str, list[str]]:
    """What is on the hosts before the first fault."""
    return {name: seen(name) for name in HOSTS}


def test_a_healthy_fleet_has_no_finding(stack: Stack, before: dict[str, list[str]]) -> None:
    result = doctor.examine(stack)
    assert [each["cause"] for each in result["findings"]] == []
    assert {each["host"]: each["error"] for each in result["hosts"]} == dict.fromkeys(HOSTS)
    assert [step for host in result["hosts"] for step in host["steps"] if step["state"] == "broken"] == []
    assert max(each["seconds"] for each in result["hosts"]) < 10


@pytest.mark.parametrize("wave", WAVES, ids=lambda wave: "+".join(each.cause for each in wave))
def test_it_is_named_and_healed(
    wave: Wave, stack: Stack, before: dict[str, list[str]], record_property: Callable[[str, object], None]
) -> None:
    clients = [each.host for each in tier_of(stack.name).runtimes]
    tried = try_wave(Lab(stack), wave, clients)
    tell(tried, record_property)
    for each in tried:
        assert each.named == each.expected, f"{each.fault.name}: {each.told}"
        assert not each.left, f"{each.fault.name}: {each.healed_by}"
        assert each.seconds < 10


def test_the_hosts_are_as_they_were(before: dict[str, list[str]]) -> None:
    assert not others(before)
