"""Pulumi values as plain Python, with what the SDK's own `PropertyValue` (3.272.0) loses kept.

`PropertyValue` drops the hash of assets, can't marshal an unknown and reads one as an ordinary string; a
plugin that compares sources by hash and previews with unknown inputs needs all three. `wire.py` has the
protobuf form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias


@dataclass(frozen=True)
class Unknown:
    """A value that only the update itself will tell."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that the engine encrypts in the state; its `repr` never shows it."""

    value: Value = field(repr=False)


@dataclass(frozen=True)
class Asset:
    """A file (`path`), a text or a remote file (`uri`). `hash` is the engine's, of the content."""

    path: str | None = None
    text: str | None = field(default=None, repr=False)
    uri: str | None = None
    hash: str | None = None


@dataclass(frozen=True)
class Archive:
    """A folder or an archive file (`path`), a remote one (`uri`) or a map of assets. `hash` as in `Asset`."""

    path: str | None = None
    uri: str | None = None
    assets: Mapping[str, Asset | Archive] | None = None
    hash: str | None = None


@dataclass(frozen=True)
class ResourceReference:
    """A reference to another resource."""

    urn: str
    id: str | None = None
    package_version: str = ""


Value: TypeAlias = (
    "bool | float | str | list[Value] | dict[str, Value]"
    " | Secret | Unknown | Asset | Archive | ResourceReference | None"
)
Props: TypeAlias = dict[str, Value]


def plain(value: Value) -> Value:
    """`value` without the wrappers of secrets, at every depth. A state keeps the wrapped value."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def has_unknown(value: Value) -> bool:
    """Whether `value` is or holds an unknown."""
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    return isinstance(value, Unknown)


def has_secret(value: Value) -> bool:
    """Whether `value` is or holds a secret."""
    if isinstance(value, list):
        return any(has_secret(item) for item in value)
    if isinstance(value, dict):
        return any(has_secret(item) for item in value.values())
    return isinstance(value, Secret)
