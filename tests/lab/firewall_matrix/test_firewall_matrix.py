"""Decides, by real connections between the lab's hosts, that a policy holds for all that listens, whoever asks, in each
backend. And that without a policy each of these ways was open: what is dropped, the policy has dropped.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lab.firewall_matrix.cells import BACKENDS, LISTENERS, NO_POLICY, WAYS, Listener
from tests.lab.firewall_matrix.measuring import Measured
from tests.lab.firewall_matrix.table import tell

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("backend", [NO_POLICY, *BACKENDS])
@pytest.mark.parametrize("listener", LISTENERS, ids=lambda each: each.title)
def test_who_reaches(
    whole: Measured, backend: str, listener: Listener, record_property: Callable[[str, object], None]
) -> None:
    row = [each for each in whole.cells if (each.backend, each.listener) == (backend, listener)]
    tell(row, record_property)
    assert len(row) == len(WAYS)
    wrong = [f"{each.way.title}: {each.seen}, not {each.wanted}" for each in row if not each.right]
    assert not wrong


def test_nothing_of_it_is_left_on_the_host(whole: Measured) -> None:
    assert whole.after == whole.before
