"""Decides what a state says after an `up` of one host alone."""

from __future__ import annotations

from typing import Any

import pytest

from ops.configuration import tier_of
from ops.deployment import STACK
from ops.one_host import arguments, never_up, with_others_as_before
from ops.stack import StackError
from settings.resource_names import HOST

OTHER = {"type": HOST, "urn": "urn::registry"}


def deployment(**outputs: Any) -> dict[str, Any]:
    return {"manifest": 1, "resources": [{"type": STACK, "urn": "urn::stack", "outputs": outputs}, OTHER]}


BEFORE = deployment(mirrors="old", documents={"a": {"f": "old"}, "b": {"f": "old"}})
AFTER = deployment(mirrors="new", documents={"a": {"f": "new"}, "b": {"f": "new"}, "c": {"f": "new"}})


@pytest.mark.parametrize(
    ("before", "after", "host", "outputs"),
    [
        (BEFORE, AFTER, "a", {"mirrors": "old", "documents": {"a": {"f": "new"}, "b": {"f": "old"}}}),
        (BEFORE, AFTER, "", {"mirrors": "old", "documents": {"a": {"f": "old"}, "b": {"f": "old"}}}),
        (BEFORE, deployment(documents={"b": {}}), "a", {"mirrors": "old", "documents": {"b": {"f": "old"}}}),
        ({"resources": None}, AFTER, "c", {"mirrors": "new", "documents": {"c": {"f": "new"}}}),
        (BEFORE, deployment(), "a", {}),
    ],
    ids=["its own are new", "a failure says nothing new", "its own are gone", "a first up", "no outputs yet"],
)
def test_only_the_host_s_own_files_are_new(
    before: dict[str, Any], after: dict[str, Any], host: str, outputs: dict[str, Any]
) -> None:
    assert with_others_as_before(before, after, host) == deployment(**outputs)


def test_a_host_that_others_need_comes_first() -> None:
    lab = tier_of("lab")
    assert never_up({}, lab, "docker1") == ["registry"]
    assert never_up({}, lab, "registry") == []
    assert never_up({"resources": [OTHER]}, lab, "docker1") == []


def test_an_unknown_host_is_told_with_those_that_there_are() -> None:
    assert arguments("lab", "") == []
    with pytest.raises(StackError, match=r"HOST=docker9: .* there are: registry, docker1"):
        arguments("lab", "docker9")
