"""Type checks of inputs, one failure a property."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from toolchain.plugins.shared.resource import Failure
from toolchain.plugins.shared.values import Props, Secret, Unknown, Value

Kind: TypeAlias = tuple[str, Callable[[Value], bool]]
"""What a value has to be: in words, and the test (secrets' wrappers are off, unknowns never get here)."""


def _strings(value: Value) -> bool:
    if isinstance(value, Secret):
        return _strings(value.value)
    return isinstance(value, str | Unknown)


def _whole(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()


STRING: Kind = ("a string", lambda value: isinstance(value, str))
BOOLEAN: Kind = ("true or false", lambda value: isinstance(value, bool))
WHOLE_NUMBER: Kind = ("a whole number", _whole)
ARRAY: Kind = ("an array", lambda value: isinstance(value, list))
STRINGS: Kind = ("an array of strings", lambda value: isinstance(value, list) and all(map(_strings, value)))
STRING_MAP: Kind = (
    "a map of strings",
    lambda value: isinstance(value, dict) and all(map(_strings, value.values())),
)


def one_of(*choices: str) -> Kind:
    """A string out of `choices`."""
    return (f"one of {', '.join(choices)}", lambda value: value in choices)


def wrong_types(props: Props, kinds: Mapping[str, Kind], prefix: str = "") -> tuple[Failure, ...]:
    """A failure for each of `props` that is not of its kind; absent and unknown ones pass."""
    failures = []
    for name, value in props.items():
        inner = value.value if isinstance(value, Secret) else value
        if name not in kinds or inner is None or isinstance(inner, Unknown):
            continue
        words, test = kinds[name]
        if not test(inner):
            failures.append(Failure(f"{prefix}{name}", f"must be {words}, but is {_kind_of(inner)}"))
    return tuple(failures)


def _kind_of(value: Value) -> str:
    names = {bool: "a boolean", float: "a number", str: "another string", list: "an array", dict: "a map"}
    return names.get(type(value), f"a {type(value).__name__}")
