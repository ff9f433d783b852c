"""Decides when pulumi writes the state once: a first `up` of many hosts, which a crash can take nothing from."""

from __future__ import annotations

import pytest

from ops.many_hosts import AFTER_EACH_STEP, MANY, ONCE, writing


@pytest.mark.parametrize(
    ("hosts", "deployment", "expected"),
    [
        (MANY, {}, ONCE),
        (MANY, {"resources": []}, ONCE),
        (MANY, {"resources": [{"urn": "x"}]}, AFTER_EACH_STEP),
        (MANY - 1, {}, AFTER_EACH_STEP),
    ],
)
def test_only_a_first_up_of_many_hosts(hosts: int, deployment: dict[str, object], expected: dict[str, str]) -> None:
    assert writing(hosts, deployment) == expected
