"""Keys as programs write them (hostKey) and as the settings have them (host_key)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from settings.values import Settings

PATH = re.compile(r"[A-Za-z0-9_.*-]+")


def camel(name: str) -> str:
    """A key as Pulumi's schemas write it."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def settings_of(model: type[Settings], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs under the keys that the settings have. A key that is none of theirs stays, for them to refuse.

    Pulumi's numbers are all floats: whole ones become what the settings take.
    """
    whole = TypeAdapter(model).json_schema(ref_template="{model}")
    renamed: dict[str, Any] = _renamed(inputs, whole, whole.get("$defs", {}))
    return renamed


def in_program(line: str) -> str:
    """An error of the settings, its path written as the program writes it."""
    return PATH.sub(lambda found: camel(found[0]), line, count=1)


def _renamed(value: Any, told: Mapping[str, Any], models: Mapping[str, Any]) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    kinds = [models[each["$ref"]] if "$ref" in each else each for each in _alternatives(told)]
    if isinstance(value, list):
        items: Mapping[str, Any] = next((each["items"] for each in kinds if "items" in each), {})
        return [_renamed(each, items, models) for each in value]
    if isinstance(value, Mapping):
        named = {camel(name): (name, each) for kind in kinds for name, each in kind.get("properties", {}).items()}
        rest: Mapping[str, Any] = next(
            (each["additionalProperties"] for each in kinds if each.get("additionalProperties")), {}
        )
        found = {key: named.get(key, (key, rest)) for key in value}
        return {name: _renamed(value[key], kind, models) for key, (name, kind) in found.items()}
    return value


def _alternatives(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed: list[Mapping[str, Any]] = told.get("anyOf") or told.get("oneOf") or [told]
    return listed
