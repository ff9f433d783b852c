"""Decides that each cause of doctor's catalogue has a fault that is tried on the lab, and each fault a cause."""

from __future__ import annotations

from pathlib import Path

from doctor.causes import CATALOGUE
from tests.lab.doctor import fault

LAB = Path(fault.__file__).parents[1]
FILES = sorted({*LAB.rglob("*faults.yaml")})


def test_each_cause_has_a_fault() -> None:
    tried = {each.cause for file in FILES for wave in fault.waves(file) for each in wave}
    assert tried == set(CATALOGUE)
