"""Settings as they were given, before anything is known to be right: the objects of a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class _List(list[Any]):
    __hash__ = object.__hash__  # type: ignore[assignment]


class _Object(dict[str, Any]):
    __hash__ = object.__hash__  # type: ignore[assignment]


def hashable(value: Any) -> Any:
    """The same value, whose lists and objects can be looked for among names: anything may stand where one belongs."""
    if isinstance(value, Mapping):
        return _Object({name: hashable(each) for name, each in value.items()})
    return _List(map(hashable, value)) if isinstance(value, list) else value


Item = tuple[str, Mapping[str, Any]]
"""A key path and the object there."""


def items(data: Mapping[str, Any], key: str, prefix: str = "") -> Iterator[Item]:
    """The objects of the list `data[key]`; nothing where it is none, or of what in it is no object.

    `prefix`: the path of `data` itself, with a dot at its end.
    """
    value = data.get(key)
    for index, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, Mapping):
            yield f"{prefix}{key}.{index}", item
