"""Decides: what fuzzing has found stays mended, and every target of `make fuzz` runs on its own seeds.

A case is a file in tests/cases/fuzz/TARGET; its name says what it once was.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fuzz.all_targets import all_properties, all_targets
from fuzz.mutation import mutated
from fuzz.target import FOUND, Target

TARGETS = {name: target for name, (_, target) in all_targets().items()}
CASES = sorted(FOUND.glob("*/*"))
MOST = 4
"""Seeds of a target that are run here; its own corpus has them all."""


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once(case: Path) -> None:
    TARGETS[case.parent.name].run(case.read_bytes())


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_a_target_takes_its_seeds(target: Target) -> None:
    assert target.seeds
    for seed in target.seeds[:MOST]:
        target.run(seed)
    target.run(b"")


def test_every_property_of_the_unit_tier_is_fuzzed_too() -> None:
    assert "daemon-json-unmerged-has-the-same-bytes" in all_properties()
    assert not TARGETS.keys() & all_properties().keys()


def test_a_mutation_is_of_the_same_kind_and_the_same_again() -> None:
    seed = b'\1{"a": [1, {"b": "c"}]}'
    made = {mutated(seed, number) for number in range(200)}
    assert len(made) > 50
    assert all(each[:1] == b"\1" and json.loads(each[1:]) != [] for each in made)
    assert mutated(seed, 7) == mutated(seed, 7)
