"""Decides that each cause of doctor's catalogue has a fault that is tried on the lab, and each fault a cause."""

from __future__ import annotations

from doctor.causes import CATALOGUE
from tests.lab.doctor.fault import waves

FILES = ("faults.yaml", "image_faults.yaml", "site_faults.yaml")


def test_each_cause_has_a_fault() -> None:
    tried = {fault.cause for file in FILES for wave in waves(file) for fault in wave}
    assert tried == set(CATALOGUE)
