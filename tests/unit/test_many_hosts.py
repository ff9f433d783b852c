"""Decides when pulumi writes the state once: where there are many hosts."""

from __future__ import annotations

import pytest

from ops.many_hosts import AFTER_EACH_STEP, MANY, ONCE, writing


@pytest.mark.parametrize(("hosts", "expected"), [(MANY, ONCE), (MANY - 1, AFTER_EACH_STEP)])
def test_many_hosts_have_their_state_written_once(hosts: int, expected: dict[str, str]) -> None:
    assert writing(hosts) == expected
