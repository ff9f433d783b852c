"""Which tags a list means. Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline_sync import selectors

TAGS = ["0.9.0", "1.2.0", "1.2.9", "v1.3.0", "1.10.0", "2.0.0", "1.2", "1.2.0-rc.1", "1.2.0-alpine", "latest", "02.1.0"]
CASES: tuple[tuple[str, list[str]], ...] = (
    ("latest", ["latest"]),
    ("1.2", ["1.2"]),
    ("1.2*", ["1.2", "1.2.0", "1.2.0-alpine", "1.2.0-rc.1", "1.2.9"]),
    ("1.2.[0-9]", ["1.2.0", "1.2.9"]),
    ("?.0.0", ["2.0.0"]),
    (">=1.2 <2", ["1.10.0", "1.2.0", "1.2.9", "v1.3.0"]),
    (">1.2", ["1.10.0", "2.0.0", "v1.3.0"]),
    (">=1.2.9", ["1.10.0", "1.2.9", "2.0.0", "v1.3.0"]),
    ("<=1.2", ["0.9.0", "1.2.0", "1.2.9"]),
    ("<1.2", ["0.9.0"]),
    ("=1.2", ["1.2.0", "1.2.9"]),
    ("=1.2.0", ["1.2.0"]),
    ("^1.2", ["1.10.0", "1.2.0", "1.2.9", "v1.3.0"]),
    ("^0.9", ["0.9.0"]),
    ("~1.2.1", ["1.2.9"]),
    ("~1", ["1.10.0", "1.2.0", "1.2.9", "v1.3.0"]),
    (">=3", []),
)


@pytest.mark.parametrize(("selector", "found"), CASES)
def test_each_kind_of_selector(selector: str, found: list[str]) -> None:
    selectors.check(selector)
    assert selectors.wanted([selector], TAGS) == found


@pytest.mark.parametrize("selector", ["", "a b", ">=", ">=x", ">=1.2 || 3", "-1", "a/b", "~>1.2", "x" * 129, "1.*/2"])
def test_what_is_no_selector_is_refused(selector: str) -> None:
    with pytest.raises(ValueError, match=r"must be a tag|is no bound"):
        selectors.check(selector)


@given(st.lists(st.tuples(*[st.integers(0, 12)] * 3), min_size=1), st.tuples(*[st.integers(0, 12)] * 3))
def test_versions_are_ordered_by_number(versions: list[tuple[int, int, int]], bound: tuple[int, int, int]) -> None:
    tags = [".".join(map(str, each)) for each in versions]
    low = ".".join(map(str, bound))
    assert set(selectors.wanted([f">={low}"], tags)) == {
        tag for tag, each in zip(tags, versions, strict=True) if each >= bound
    }
