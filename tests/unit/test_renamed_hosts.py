"""Decides when a host of the settings is one that the state knows by another name."""

from __future__ import annotations

from typing import Any

import pytest

from ops.configuration import tier_of
from ops.renamed import renamed
from settings.resource_names import HOST

LAB = tier_of("lab")
"""Its host `docker1` has the address 192.168.1.21."""


def state(**addresses: str) -> dict[str, Any]:
    return {
        "resources": [
            {"type": HOST, "urn": f"::{name}", "outputs": {"address": each}} for name, each in addresses.items()
        ]
    }


@pytest.mark.parametrize(
    ("deployment", "was", "found"),
    [
        (state(old="192.168.1.21"), None, {"docker1": "old"}),
        (state(old="192.168.1.21"), "old", {}),
        (state(old="192.168.1.99"), None, {}),
        (state(docker1="192.168.1.99", old="192.168.1.21"), None, {}),
        ({"resources": [{"type": HOST, "urn": "::old"}]}, None, {}),
        ({}, None, {}),
    ],
    ids=["renamed", "and said so", "removed", "took the address of a removed one", "half made", "no state"],
)
def test_a_renamed_host_is_found_by_its_address(deployment: dict[str, Any], was: str | None, found: Any) -> None:
    hosts = tuple(each.model_copy(update={"was": was}) if each.name == "docker1" else each for each in LAB.hosts)
    assert renamed(deployment, LAB.model_copy(update={"hosts": hosts})) == found
