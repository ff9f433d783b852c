"""Asks the Prometheus of a stack of tests."""

from __future__ import annotations

import json
from typing import Any

from tests.lab.hosts import must


def series(name: str, expr: str) -> list[dict[str, Any]]:
    """What it answers on that host: each series with its `metric`, the labels, and its `value`, a time and a text."""
    text = must(name, f"curl -s --data-urlencode query='{expr}' http://127.0.0.1:9090/api/v1/query")
    found = json.loads(text)
    assert found["status"] == "success", found
    result: list[dict[str, Any]] = found["data"]["result"]
    return result
