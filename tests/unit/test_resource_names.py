"""Decides which resources are on a host, and what they were called before it was renamed."""

from __future__ import annotations

import pytest

from settings.resource_names import HOST, before_renaming, is_on, of_registry

COMMAND, CONTAINER = "command:remote:Command", "docker:index/container:Container"


@pytest.mark.parametrize(
    ("kind", "name", "on"),
    [
        (HOST, "a", True),
        (HOST, "a-docker", False),
        (COMMAND, "a-docker-mirrors", True),
        (COMMAND, "a-docker-docker-mirrors", False),
        (COMMAND, "ab-python", False),
        (COMMAND, "a-b-python", False),
        (CONTAINER, f"{of_registry('a', 'hosted')}-container-2", True),
        (CONTAINER, f"{of_registry('a-b', 'hosted')}-container", False),
        ("pulumi:pulumi:Stack", "http-registry-a", False),
    ],
)
def test_a_resource_is_on_the_host_that_it_is_named_after(kind: str, name: str, on: bool) -> None:
    assert is_on(kind, name, "a") == on
    assert before_renaming(kind, name, "a", "was") == (f"was{name[1:]}" if on else None)
