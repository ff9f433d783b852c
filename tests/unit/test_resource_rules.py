"""The policy pack's rules of resources: each broken one is told, and what is not known yet is left alone. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from documents import firewall_rules
from policy.resource_rules import RESOURCE_RULES, UNKNOWN
from settings.firewall import Firewall, Rule

FILES = sorted((Path(__file__).parents[1] / "cases" / "resource_rules").glob("*.yaml"))
CASES = [
    (f"{file.stem}-{index}", case) for file in FILES for index, case in enumerate(yaml.safe_load(file.read_text()))
]


def errors(kind: str, properties: dict[str, Any]) -> list[str]:
    return [error for rule in RESOURCE_RULES if kind in rule.types for error in rule.errors(properties)]


def with_unknowns(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: with_unknowns(each) for key, each in value.items()}
    if isinstance(value, list):
        return [with_unknowns(each) for each in value]
    return UNKNOWN if value == "UNKNOWN" else value


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_each_broken_rule_is_told(case: dict[str, Any]) -> None:
    found = errors(case["type"], with_unknowns(case["properties"]))
    assert found == case["errors"]
    assert "geheim" not in "".join(found)


def test_every_rule_is_broken_by_a_case() -> None:
    for rule in RESOURCE_RULES:
        broken = [case for _, case in CASES if case["type"] in rule.types and case["errors"]]
        assert any(list(rule.errors(with_unknowns(case["properties"]))) for case in broken), rule.name


def test_the_firewall_s_wish_is_read_as_the_program_writes_it() -> None:
    """As components/firewall_policy.py sends it."""
    import json

    rules = [Rule(ports=(9100,), allow=("0.0.0.0/0",))]
    wish = firewall_rules.wish(rules, Firewall(allow=("10.0.0.0/8",)), 22)
    stdin = json.dumps({"owner": "o", "unit": "firewall", "wish": wish})
    assert len(errors("command:remote:Command", {"stdin": stdin})) == 1
