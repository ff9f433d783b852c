"""What changed between old and new inputs, with the equalities of the official schema.

Equal are: a property that is absent and one that is empty, zero or false; a set in another order; a secret and
the same value in clear.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from toolchain.plugins.docker.fields import Field
from toolchain.plugins.shared.diff import Diff, inputs_diff
from toolchain.plugins.shared.values import Props, Secret, Unknown, Value, has_secret, plain


def changed(fields: Mapping[str, Field], old: Props, new: Props, ignore_changes: Iterable[str] = ()) -> Diff:
    """The changes from `old` to `new`, none of them replacing yet."""
    before: Props = {}
    after: Props = {}
    for name in old.keys() | new.keys():
        was, now = tidy(plain(old.get(name))), tidy(plain(new.get(name)))
        if not (empty(was) and empty(now)) and not same(fields.get(name), was, now):
            before[name], after[name] = was, now
    return inputs_diff(before, after, ignore_changes)


def tidy(value: Value) -> Value:
    """`value` without the entries of its objects that say nothing; a whole number is one however it came."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [tidy(item) for item in value]
    if isinstance(value, dict):
        tidied = {name: tidy(item) for name, item in value.items() if not name.startswith("__")}
        return {name: item for name, item in tidied.items() if not empty(item)}
    return value


def empty(value: Value) -> bool:
    """Whether `value` is the zero of its type, which the official schema can't tell from an absent one."""
    return not isinstance(value, Unknown) and not value


def same(field: Field | None, one: Value, other: Value) -> bool:
    """Whether two tidied plain values of that field are the same."""
    if field is not None and field.unordered and isinstance(one, list) and isinstance(other, list):
        return sorted(map(_key, one)) == sorted(map(_key, other))
    return one == other


def _key(value: Value) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def drifted(inputs: Props, observed: Props, differs: Iterable[str]) -> Props:
    """`inputs` with the observed values of the properties in `differs`; a secret one stays secret."""
    result = dict(inputs)
    for name in differs:
        value = tidy(observed[name])
        result[name] = Secret(value) if has_secret(inputs.get(name)) else value
    return result
