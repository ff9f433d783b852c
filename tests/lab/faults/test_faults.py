"""Decides, on the lab's hosts, that a change is whole or not at all, whatever happens to hostctl or to the runtime.

After each fault: the old state or the new one, every byte, mode and owner of it, others' files too; the runtime
answers and shows that state; the next apply converges, and the one after it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lab.faults.on_hosts import Outcome
from tests.lab.faults.table import tell

pytestmark = pytest.mark.lab

PLACES = (
    ("registry", "firewall"),
    ("registry", "nginx-proxy"),
    ("registry", "origin"),
    ("docker1", "docker-mirrors"),
    ("docker1", "docker-relay"),
    ("docker1", "docker-cli"),
    ("docker1", "docker-image"),
    ("docker2", "docker-mirrors"),
    ("docker2", "buildkit-mirrors"),
    ("docker2", "docker-image"),
    ("docker2", "offline-sync"),
    ("containerd1", "containerd-mirrors"),
    ("containerd1", "authorities"),
    ("containerd2", "containerd-mirrors"),
    ("containerd2", "garbage-collection"),
    ("containerd2", "floating-address"),
)
STEPS = ("journal", "write", "check", "swap", "activate", "verify", "prove", "commit", "close")


@pytest.mark.parametrize(("host", "unit"), PLACES)
def test_the_unit_survives(
    host: str, unit: str, outcomes: list[Outcome], record_property: Callable[[str, object], None]
) -> None:
    tried = [each for each in outcomes if each.host == host and each.unit in (unit, "")]
    tell(tried, record_property)
    wrong = [f"{each.kind}: {each.case}: {each.seen}" for each in tried if each.seen]
    assert not wrong, "\n".join(wrong)
    killed = " ".join(each.case for each in tried if each.kind == "killed")
    assert [step for step in STEPS if f" killed at {step} " not in killed] == []
    assert {"going back", "no room", "stopped", "connection", "at once"} <= {each.kind for each in tried}
