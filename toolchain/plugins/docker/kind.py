"""What the four resource types have in common: checked by a table, named when unnamed, diffed by the table."""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import ClassVar

from toolchain.plugins.docker.changes import changed, drifted, empty, same, tidy
from toolchain.plugins.docker.fields import DEFAULTS, Field, checked
from toolchain.plugins.shared.diff import Diff
from toolchain.plugins.shared.resource import Checked, Context, DiffRequest, Failure, ResourceType
from toolchain.plugins.shared.values import UNKNOWN, Props, Secret, Value, plain


class DockerType(ResourceType):
    """A resource type whose inputs are a table of `Field`s. Every input that isn't `in_place` replaces."""

    fields: ClassVar[Mapping[str, Field]]
    in_place: ClassVar[frozenset[str]] = frozenset()
    outputs: ClassVar[frozenset[str]] = frozenset()
    """What the daemon fills in: unknown in the preview of a create, unless the program gives it."""
    auto_named: ClassVar[bool] = True
    always_delete_first: ClassVar[bool] = False
    schema_version: ClassVar[int] = 0
    """The official schema's, which its state carries; a lower one would be migrated by the official plugin."""

    def unsupported(self, inputs: Props) -> tuple[Failure, ...]:
        """Nothing here: `check` refuses, at every depth."""
        return ()

    async def check(self, context: Context, old: Props, new: Props) -> Checked:
        """Types, defaults, and a name like `web-1a2b3c4` where none is given (the old one where that was so)."""
        named = dict(new)
        auto_named = self.auto_named and named.get("name") is None
        if auto_named:
            named["name"] = _kept_name(old) or f"{context.name}-{_seven_digits(context.random_seed)}"
        inputs, failures = checked(type(self).__name__, self.fields, named)
        defaults = inputs.get(DEFAULTS)
        if auto_named and isinstance(defaults, list):
            inputs[DEFAULTS] = sorted([*defaults, "name"], key=str)
        return Checked(inputs, failures or self.wrong(inputs))

    def wrong(self, inputs: Props) -> tuple[Failure, ...]:
        """What is wrong beyond types; a type with such rules overrides it."""
        return ()

    async def diff(self, context: Context, request: DiffRequest) -> Diff:
        """Replaces for all but `in_place`; deletes first where the new one would have the same explicit name.

        The second is the official bridge's `nameRequiresDeleteBeforeReplace`.
        """
        diff = changed(self.fields, request.old_inputs, request.new_inputs, request.ignore_changes)
        replacing = [path for path in diff.changes if _top(path) not in self.in_place]
        first = bool(replacing) and (self.always_delete_first or _same_given_name(request))
        return Diff(diff.replacing(replacing).changes, first)

    def previewed(self, inputs: Props) -> Props:
        """The state that a create will give, as far as it is known."""
        return {**dict.fromkeys(sorted(self.outputs), UNKNOWN), **self.state(inputs, {})}

    def state(self, inputs: Props, outputs: Props) -> Props:
        """Outputs, and the inputs over them: what the program gave is in the state as it was given."""
        given = {name: _without_defaults(value) for name, value in inputs.items() if name != DEFAULTS}
        meta: Props = {"__meta": f'{{"schema_version":"{self.schema_version}"}}'} if self.schema_version else {}
        return {**outputs, **given, **meta}

    def updated(self, old_state: Props, inputs: Props) -> Props:
        """The state after an update that left the daemon's outputs as they were."""
        return self.state(inputs, {name: old_state[name] for name in sorted(self.outputs & old_state.keys())})

    async def update(
        self, context: Context, id: str, old_state: Props, old_inputs: Props, new: Props, preview: bool
    ) -> Props:
        """For a type without `in_place` properties: nothing but a change that is none to Docker comes here."""
        return self.updated(old_state, new)

    def refreshed(self, inputs: Props, observed: Props) -> Props:
        """`inputs` with what drifted: observed values that are not what the program gave.

        A property that the program didn't give is the daemon's to choose and never drifts.
        """
        differing = [
            name
            for name, value in observed.items()
            if name in inputs and not self.matches(name, tidy(plain(inputs[name])), tidy(value))
        ]
        return drifted(inputs, observed, differing)

    def matches(self, name: str, given: Value, observed: Value) -> bool:
        """Whether the daemon's value of a property is the given one, in perhaps another form."""
        return (empty(given) and empty(observed)) or same(self.fields[name], given, observed)

    def imported(self, observed: Props) -> Props:
        """Inputs for a resource that the program doesn't know yet (`pulumi import`)."""
        given = {name: value for name, value in observed.items() if name in self.fields and not empty(value)}
        return checked(type(self).__name__, self.fields, given)[0]


def _top(path: str) -> str:
    return path.split(".")[0].split("[")[0]


def _kept_name(old: Props) -> Value:
    defaults = old.get(DEFAULTS)
    return old.get("name") if isinstance(defaults, list) and "name" in defaults else None


def _seven_digits(seed: bytes) -> str:
    """Hexadecimal; the same in a preview and the update after it, for which the engine gives one seed."""
    return hashlib.sha256(seed).hexdigest()[:7] if seed else secrets.token_hex(4)[:7]


def _same_given_name(request: DiffRequest) -> bool:
    defaults = request.new_inputs.get(DEFAULTS)
    if isinstance(defaults, list) and "name" in defaults:
        return False
    return plain(request.old_inputs.get("name")) == plain(request.new_inputs.get("name"))


def _without_defaults(value: Value) -> Value:
    if isinstance(value, Secret):
        return Secret(_without_defaults(value.value))
    if isinstance(value, list):
        return [_without_defaults(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_defaults(item) for name, item in value.items() if name != DEFAULTS}
    return value
