"""The Pulumi schema of the package, from the settings: what SDKs of every language are generated from.

Format: https://www.pulumi.com/docs/iac/guides/building-extending/packages/schema. Pydantic tells the types as a JSON
schema; the texts are the docstrings'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from component_package import descriptions
from component_package.names import camel
from settings.values import Settings

PACKAGE: Final = "http-registry"
Spec = dict[str, Any]
SECRET_TEXT: Final = {"type": "string", "secret": True}
ABOUT: Final = (
    "A container registry of your own on your own network, and every Docker and containerd host pointed at it: "
    "registries, an authenticating proxy with a cache, the runtimes' mirrors, a firewall policy. Each change to a host "
    "is validated, atomic, verified, and taken back by a destroy."
)


def token(name: str) -> str:
    """A resource or type of the package as Pulumi names it."""
    return f"{PACKAGE}:index:{name}"


def package_schema(version: str, components: Mapping[type[Settings], type[Settings]]) -> Spec:
    """The whole schema. `components`: the outputs of each component by its inputs; it is called as its inputs are."""
    models = {*components, *components.values()}
    _, whole = models_json_schema([(each, "validation") for each in models], ref_template="{model}")
    types = _Types({each.__name__: each for each in _all(Settings)}, whole["$defs"])
    resources = {
        token(given.__name__): {
            "isComponent": True,
            "description": descriptions.of_class(given),
            "inputProperties": types.properties(given.__name__),
            "requiredInputs": types.required(given.__name__),
            "properties": types.properties(told.__name__),
            "required": types.required(told.__name__),
        }
        for given, told in components.items()
    }
    return {
        "name": PACKAGE,
        "version": version,
        "displayName": "HTTP registry",
        "description": ABOUT,
        "keywords": ["kind/component", "category/infrastructure", "docker", "containerd", "registry"],
        "license": "Apache-2.0",
        "language": {"python": {"respectSchemaVersion": True, "pyproject": {"enabled": True}}},
        "types": types.specs,
        "resources": resources,
    }


class _Types:
    """The types that the properties asked for need, in `specs`."""

    def __init__(self, models: Mapping[str, type[Settings]], told: Mapping[str, Spec]) -> None:
        self._models = models
        self._told = told
        self.specs: dict[str, Spec] = {}

    def properties(self, model: str) -> dict[str, Spec]:
        """The properties of a model."""
        texts = descriptions.of_fields(self._models[model])
        found = {}
        for name, told in self._visible(model).items():
            spec = {**self._type(told, model, name), "description": texts[name]}
            default = told.get("default")
            if isinstance(default, str | int | bool) and default != "" and "$ref" not in spec:
                spec["default"] = default
            if _holds_secret(told):
                spec["secret"] = True
            found[camel(name)] = spec
        return found

    def required(self, model: str) -> list[str]:
        """Those that must be given."""
        visible = self._visible(model)
        return sorted(camel(each) for each in self._told[model].get("required", ()) if each in visible)

    def _visible(self, model: str) -> dict[str, Spec]:
        return {name: told for name, told in self._told[model]["properties"].items() if not told.get("hidden")}

    def _type(self, told: Spec, model: str, name: str) -> Spec:
        """The type of a property, which the JSON schema tells."""
        if "anyOf" in told:
            (only,) = [each for each in told["anyOf"] if each.get("type") != "null"]
            return self._type(only, model, name)
        if "oneOf" in told:
            chosen = told["discriminator"]
            mapping = {key: self._ref(kind) for key, kind in chosen["mapping"].items()}
            return {
                "oneOf": [{"$ref": ref} for ref in mapping.values()],
                "discriminator": {"propertyName": camel(chosen["propertyName"]), "mapping": mapping},
            }
        if "$ref" in told:
            return {"$ref": self._ref(told["$ref"])}
        if "enum" in told:
            return {"$ref": self._enum(told["enum"], model, name)}
        if "const" in told:
            return {"type": "string", "const": told["const"]}
        if told["type"] == "array":
            return {"type": "array", "items": self._type(told["items"], model, name)}
        if told["type"] == "object":
            return {"type": "object", "additionalProperties": self._type(told["additionalProperties"], model, name)}
        return {"type": told["type"]}

    def _ref(self, model: str) -> str:
        ref = f"#/types/{token(model)}"
        if token(model) not in self.specs:
            spec = self.specs[token(model)] = {"type": "object"}
            spec["description"] = descriptions.of_class(self._models[model])
            spec["properties"] = self.properties(model)
            if required := self.required(model):
                spec["required"] = required
        return ref

    def _enum(self, values: Iterable[str], model: str, name: str) -> str:
        # Named by the model that says it, not by one that inherits it.
        owner = next(
            each.__name__
            for each in reversed(self._models[model].__mro__)
            if issubclass(each, Settings) and name in each.model_fields
        )
        kind = f"{owner}{_pascal(name)}" if owner != _pascal(name) else f"{owner}Name"
        self.specs[token(kind)] = {
            "type": "string",
            "description": descriptions.of_fields(self._models[model])[name],
            "enum": [{"name": _identifier(each, name), "value": each} for each in values],
        }
        return f"#/types/{token(kind)}"


def _all(base: type[Settings]) -> Iterable[type[Settings]]:
    for each in base.__subclasses__():
        yield each
        yield from _all(each)


def _holds_secret(told: Spec) -> bool:
    """Whether it is a secret, or a map of such."""
    kinds = [told, *told.get("anyOf", ())]
    return any(each.get("secret") or (each.get("additionalProperties") or {}) == SECRET_TEXT for each in kinds)


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", name))


def _identifier(value: str, name: str) -> str:
    """An enum's value as languages can call it."""
    return _pascal(value) if value[0].isalpha() else _pascal(f"{name} {value}")
