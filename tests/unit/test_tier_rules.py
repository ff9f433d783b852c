"""The rules of a tier: each broken one is told with its place and its remedy, and no other. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import Given, check
from settings.predicates import is_pinned, is_public, is_public_address, is_world
from settings.tier_rules import RULES

CASES = sorted((Path(__file__).parents[1] / "cases" / "tier_rules").glob("*.yaml"))
DIGEST = "sha256:" + "0" * 64


def case_of(path: Path) -> tuple[Given, dict[str, Any]]:
    data = yaml.safe_load(path.read_text())
    return Given(data["settings"], data["stack"], data.get("known_hosts"), data.get("others", {})), data


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_a_stack_does_not_keep_is_told_with_all_that_is_wrong(path: Path) -> None:
    given, case = case_of(path)
    _, errors = check(given)
    assert errors == case["errors"]
    assert "geheim" not in "".join(errors)
    assert [rule.name for rule in RULES if rule.broken(given)] == case["broken"]


def test_every_rule_is_broken_by_a_case() -> None:
    assert {name for path in CASES for name in case_of(path)[1]["broken"]} == {rule.name for rule in RULES}


@pytest.mark.parametrize(
    "image",
    [
        "registry:3.1.2",
        "localhost:5000/a/b:v1.2.3",
        "a:1.25.3-alpine",
        "a:3.1.2.4",
        f"a@{DIGEST}",
        f"a:latest@{DIGEST}",
        DIGEST,
    ],
)
def test_a_pinned_image(image: str) -> None:
    assert is_pinned(image)


@pytest.mark.parametrize(
    "image",
    [
        "registry",
        "registry:3",
        "registry:latest",
        "registry:3.1",
        "h:5000/a",
        "1.2.3",
        ":1.2.3",
        "10.0.0.1:5000/a",
        "a@sha256:00",
        "",
    ],
)
def test_an_image_that_may_be_another_tomorrow(image: str) -> None:
    assert not is_pinned(image)


@pytest.mark.parametrize(
    ("network", "public", "world"),
    [
        ("10.0.0.0/8", False, False),
        ("172.16.0.0/12", False, False),
        ("100.64.0.0/10", False, False),
        ("fd00::/8", False, False),
        ("fe80::/64", False, False),
        ("8.8.8.8/32", True, False),
        ("203.0.0.0/16", True, False),
        ("203.0.0.0/15", True, True),
        ("10.0.0.0/7", True, True),
        ("172.0.0.0/8", True, True),
        ("2001:db8::/32", True, False),
        ("2001:d00::/24", True, True),
        ("0.0.0.0/0", True, True),
        ("::/0", True, True),
    ],
)
def test_how_wide_a_network_is(network: str, public: bool, world: bool) -> None:
    assert (is_public(network), is_world(network)) == (public, world)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("127.0.0.1", False),
        ("192.168.1.5", False),
        ("::1", False),
        ("0.0.0.0", True),
        ("::", True),
        ("198.51.100.1", True),
    ],
)
def test_where_a_port_is_published(address: str, public: bool) -> None:
    assert is_public_address(address) is public
