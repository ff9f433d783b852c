"""Labels as the inputs have them, and as Docker has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from toolchain.plugins.shared.values import Value


def label_map(labels: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """`[{label, value}]` as a mapping."""
    return {entry["label"]: entry["value"] for entry in labels or ()}


def label_list(labels: Mapping[str, str] | None) -> list[Value]:
    """A mapping as `[{label, value}]`, sorted."""
    return [{"label": label, "value": value} for label, value in sorted((labels or {}).items())]
