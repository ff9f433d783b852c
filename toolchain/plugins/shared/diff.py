"""Old inputs against new inputs, as the official providers' default diff has it.

Rules: `PropertyMap.Diff` (`sdk/go/common/resource/properties_diff.go`) and `NewDetailedDiffFromObjectDiff`
(`plugin/provider.go`): arrays by index, maps by key, everything else whole; the top level keys `version` and
`__*` don't count; assets and archives are equal when their hashes are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from toolchain.plugins.shared.values import Archive, Asset, Props, Secret, Value

Change: TypeAlias = Literal["ADD", "DELETE", "UPDATE", "ADD_REPLACE", "DELETE_REPLACE", "UPDATE_REPLACE"]
_REPLACING: Mapping[str, Change] = {
    "ADD": "ADD_REPLACE",
    "DELETE": "DELETE_REPLACE",
    "UPDATE": "UPDATE_REPLACE",
}


@dataclass(frozen=True)
class Diff:
    """What changed: property path -> how; a `_REPLACE` replaces the resource."""

    changes: Mapping[str, Change] = field(default_factory=dict)
    delete_before_replace: bool = False

    def replacing(self, paths: Iterable[str]) -> Diff:
        """The same changes, of which those at exactly `paths` replace the resource."""
        wanted = frozenset(paths)
        changes = {path: _REPLACING.get(how, how) if path in wanted else how for path, how in self.changes.items()}
        return Diff(changes, self.delete_before_replace)


def inputs_diff(old: Props, new: Props, ignore_changes: Iterable[str] = ()) -> Diff:
    """The changes from `old` to `new` inputs, but for the top level names in `ignore_changes`.

    Its paths below a name need nothing here: the engine has put the old values there into `new`.
    """
    ignored = frozenset(ignore_changes)
    changes: dict[str, Change] = {}
    for key in sorted(old.keys() | new.keys()):
        if key == "version" or key.startswith("__") or key in ignored:
            continue
        _compare(key, old.get(key), new.get(key), changes)
    return Diff(changes)


def _compare(path: str, old: Value, new: Value, changes: dict[str, Change]) -> None:
    if isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            _compare(f"{path}[{index}]", before, after, changes)
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            _compare(_child(path, key), old.get(key), new.get(key), changes)
    elif not _equal(old, new):
        changes[path] = "ADD" if old is None else "DELETE" if new is None else "UPDATE"


def _child(path: str, key: str) -> str:
    if re.search(r'[."\[\]]', key) or not key:
        escaped = key.replace('"', '\\"')
        return f'{path}["{escaped}"]'
    return f"{path}.{key}"


def _equal(old: Value, new: Value) -> bool:
    if isinstance(old, Asset | Archive) and type(old) is type(new) and old.hash and new.hash:
        return old.hash == new.hash
    if isinstance(old, Secret) and isinstance(new, Secret):
        return _equal(old.value, new.value)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_equal, old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        return all(_equal(old.get(key), new.get(key)) for key in old.keys() | new.keys())
    return old == new and isinstance(old, bool) == isinstance(new, bool)
