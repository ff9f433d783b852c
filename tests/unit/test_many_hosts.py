"""Decides how pulumi works where there are many hosts."""

from __future__ import annotations

import pytest

from ops.many_hosts import AT_ONCE, MANY, ONCE, prepare, variables


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (MANY - 1, {}),
        (MANY, {**ONCE, "PULUMI_PARALLEL": str(MANY)}),
        (1000, {**ONCE, "PULUMI_PARALLEL": str(AT_ONCE)}),
    ],
)
def test_many_hosts_have_their_state_written_once_and_are_waited_for_together(
    hosts: int, expected: dict[str, str]
) -> None:
    assert variables(hosts) == expected


def test_what_somebody_has_set_counts() -> None:
    environment = {"PULUMI_PARALLEL": "2", "HOME": "/root"}
    prepare(environment, MANY)
    assert environment == {"PULUMI_PARALLEL": "2", "HOME": "/root", **ONCE}
