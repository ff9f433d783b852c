"""The matrix, measured once."""

from __future__ import annotations

import pytest

from ops.stack import Stack
from tests.lab.firewall_matrix.measuring import Measured, measured


@pytest.fixture(scope="session")
def whole(stack: Stack) -> Measured:
    """The measurement."""
    return measured()
