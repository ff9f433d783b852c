"""The lab's stack, selected once for all tests; each leaves it up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ops.stack import LAB, Stack, selected


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The lab's stack, which `make up` has brought up."""
    with selected(LAB) as chosen:
        yield chosen
