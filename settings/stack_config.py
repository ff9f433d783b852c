"""A stack's configuration as the engine hands it over, sorted: settings in clear, and the names of the secrets."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from settings.tier import Tier

NAMESPACE = "http-registry"
ABSENT: tuple[object, ...] = ("", [], {})
"""What Pulumi.yaml gives a key that the stack does not set; without it the engine would stop at the first such key."""


@dataclass(frozen=True)
class StackConfig:
    """`settings`: this project's in clear. `secrets`: the names of its secrets; their values are not looked at.
    `others`: what other namespaces, such as a provider's, have in clear, by its full name."""

    settings: Mapping[str, Any]
    secrets: frozenset[str]
    others: Mapping[str, Any]


def split(config: Mapping[str, str], secret_keys: Collection[str]) -> StackConfig:
    """Sort the configuration; `secret_keys` are the full names of those that are secret."""
    settings: dict[str, Any] = {}
    others: dict[str, Any] = {}
    secrets = set()
    for full_name, value in config.items():
        namespace, _, key = full_name.partition(":")
        if namespace == NAMESPACE and full_name in secret_keys:
            secrets.add(key)
        elif full_name not in secret_keys:
            decoded = _decoded(value)
            if namespace != NAMESPACE:
                others[full_name] = decoded
            elif decoded not in ABSENT or key not in Tier.model_fields:
                settings[key] = decoded
    return StackConfig(settings, frozenset(secrets), others)


def _decoded(value: str) -> Any:
    """Pulumi hands objects and numbers over as JSON, and strings as they are."""
    try:
        return json.loads(value)
    except ValueError:
        return value
