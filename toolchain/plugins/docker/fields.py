"""A resource type's inputs as a table, and the checks that read it: types, defaults, refusals.

Defaults are written down as the official bridge does it (`__defaults` lists the names that the program left
out), so that a state can go from one plugin to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from toolchain.plugins.shared.resource import Failure
from toolchain.plugins.shared.values import Asset, Props, Secret, Unknown, Value

Kind: TypeAlias = Literal["string", "int", "bool", "strings", "map", "object", "objects"]
DEFAULTS: Final = "__defaults"
_WORDS: Mapping[Kind, str] = {
    "string": "a string",
    "int": "a whole number",
    "bool": "true or false",
    "strings": "a list of strings",
    "map": "a map of strings",
    "object": "an object",
    "objects": "a list of objects",
}


@dataclass(frozen=True)
class Field:
    """One input."""

    kind: Kind
    default: Value = None
    """Put in when the program gives none."""
    required: bool = False
    unordered: bool = False
    """A set in the official schema: another order is no change."""
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)
    """Of each object, for the kinds `object` and `objects`."""


STRING: Final = Field("string")
INT: Final = Field("int")
BOOL: Final = Field("bool")
STRINGS: Final = Field("strings")
STRING_SET: Final = Field("strings", unordered=True)
MAP: Final = Field("map")
REQUIRED: Final = Field("string", required=True)
LABELS: Final = Field("objects", unordered=True, fields={"label": REQUIRED, "value": Field("string", required=True)})


def checked(owner: str, fields: Mapping[str, Field], props: Props) -> tuple[Props, tuple[Failure, ...]]:
    """`props` with defaults, and what is wrong with them; `owner` names the type in a refusal."""
    failures: list[Failure] = []
    return _object(owner, fields, props, "", failures), tuple(failures)


def _object(owner: str, fields: Mapping[str, Field], props: Props, path: str, failures: list[Failure]) -> Props:
    result: Props = {}
    for name, value in props.items():
        if name in fields:
            if value is not None:
                result[name] = _value(owner, fields[name], value, f"{path}{name}", failures)
        elif not name.startswith("__"):
            failures.append(
                Failure(
                    f"{path}{name}",
                    f"docker: {owner}: property `{path}{name}` is not supported by the offline plugin; "
                    "use the official plugin or remove it",
                )
            )
    defaulted: list[Value] = []
    for name, spec in fields.items():
        if name in result:
            continue
        if spec.required:
            failures.append(Failure(f"{path}{name}", f"docker: {owner}: property `{path}{name}` is required"))
        elif spec.default is not None:
            result[name] = spec.default
            defaulted.append(name)
    result[DEFAULTS] = sorted(defaulted, key=str)
    return result


def _value(owner: str, spec: Field, value: Value, path: str, failures: list[Failure]) -> Value:
    if isinstance(value, Secret):
        return Secret(_value(owner, spec, value.value, path, failures))
    if isinstance(value, Unknown):
        return value
    if spec.kind == "object" and isinstance(value, dict):
        return _object(owner, spec.fields, value, f"{path}.", failures)
    if spec.kind == "objects" and isinstance(value, list):
        of_one = Field("object", fields=spec.fields)
        return [_value(owner, of_one, item, f"{path}[{index}]", failures) for index, item in enumerate(value)]
    if spec.kind == "strings" and isinstance(value, list):
        return [_value(owner, STRING, item, f"{path}[{index}]", failures) for index, item in enumerate(value)]
    if spec.kind == "map" and isinstance(value, dict):
        return {key: _value(owner, STRING, item, f"{path}.{key}", failures) for key, item in value.items()}
    problem = _scalar_problem(spec, value)
    if problem:
        failures.append(Failure(path, f"docker: {owner}: property `{path}` must be {problem}"))
    return value


def _scalar_problem(spec: Field, value: Value) -> str | None:
    fits = {
        "string": isinstance(value, str),
        "bool": isinstance(value, bool),
        "int": isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer(),
    }
    if not fits.get(spec.kind, False):
        return f"{_WORDS[spec.kind]}, not {_word(value)}"
    if spec.choices and value not in spec.choices:
        return f"one of {', '.join(spec.choices)}"
    if spec.minimum is not None and isinstance(value, int | float) and value < spec.minimum:
        return f"at least {spec.minimum}"
    return None


def _word(value: Value) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, Asset):
        return "an asset"
    return "nothing" if value is None else "an object"
