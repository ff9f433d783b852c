"""What local.Command and remote.Command share: when which command runs, and what the state is then.

Behaviour of pulumi-command v1.2.1, `{local,remote}/commandController.go`.
"""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, cast

from toolchain.plugins.command.inputs import ARRAY, BOOLEAN, STRING, STRING_MAP, Kind, one_of, wrong_types
from toolchain.plugins.command.running import LOGGED, Output, Run
from toolchain.plugins.shared.diff import Diff, inputs_diff
from toolchain.plugins.shared.resource import Checked, Context, Created, DiffRequest, ResourceType, unique_hex
from toolchain.plugins.shared.values import UNKNOWN, Props, has_unknown, plain

KINDS: Mapping[str, Kind] = {
    "create": STRING,
    "update": STRING,
    "delete": STRING,
    "stdin": STRING,
    "triggers": ARRAY,
    "environment": STRING_MAP,
    "logging": one_of(*sorted(LOGGED)),
    "addPreviousOutputInEnv": BOOLEAN,
}


class CommandType(ResourceType):
    """A command for each of create, update and delete."""

    kinds: ClassVar[Mapping[str, Kind]]

    @abstractmethod
    async def run(self, context: Context, run: Run, props: Props) -> Output:
        """Run it; `props` are the resource's, in clear. Raises `ProviderError` when it fails."""

    async def check(self, context: Context, old: Props, new: Props) -> Checked:
        """Refuse wrong types; no default goes into the state."""
        return Checked(new, wrong_types(new, self.kinds))

    async def diff(self, context: Context, request: DiffRequest) -> Diff:
        """Any change updates; `triggers` as a whole replaces, its items do through the SDK's own option."""
        changes = inputs_diff(request.old_inputs, request.new_inputs, request.ignore_changes)
        return changes.replacing({"triggers"})

    async def create(self, context: Context, inputs: Props, preview: bool) -> Created:
        """Run `create`, if there is one."""
        id = unique_hex(context.name)
        if preview:
            return Created(id, {**inputs, "stdout": UNKNOWN, "stderr": UNKNOWN})
        return Created(id, await self._after(context, "create", inputs, {}, Output("", "")))

    async def update(
        self, context: Context, id: str, old_state: Props, old_inputs: Props, new: Props, preview: bool
    ) -> Props:
        """Run `update`, else `create`, else nothing, and then the old output stays."""
        kept = Output(_string(old_state, "stdout"), _string(old_state, "stderr"))
        if preview:
            if not inputs_diff(old_inputs, new).changes and not has_unknown(dict(new)):
                return {**new, "stdout": old_state.get("stdout"), "stderr": old_state.get("stderr")}
            return {**new, "stdout": UNKNOWN, "stderr": UNKNOWN}
        chosen = "update" if new.get("update") is not None else "create"
        return await self._after(context, chosen, new, old_state, kept)

    async def delete(self, context: Context, id: str, state: Props) -> None:
        """Run the `delete` of the old state, in the old state's surroundings."""
        await self._after(context, "delete", state, state, Output("", ""))

    async def _after(self, context: Context, chosen: str, inputs: Props, old: Props, otherwise: Output) -> Props:
        props = {name: plain(value) for name, value in inputs.items()}
        output = otherwise
        if props.get(chosen) is not None:
            output = await self.run(context, _run(str(props[chosen]), props, old), props)
        return {**inputs, "stdout": output.stdout, "stderr": output.stderr}


def _run(command: str, props: Props, old: Props) -> Run:
    previous = {}
    if props.get("addPreviousOutputInEnv") is not False:
        previous = {
            f"PULUMI_COMMAND_{stream.upper()}": text
            for stream in ("stdout", "stderr")
            if (text := _string(old, stream))
        }
    return Run(
        command=command,
        stdin=_string(props, "stdin"),
        environment=cast("dict[str, str]", props.get("environment") or {}),
        previous=previous,
        logging=_string(props, "logging") or "stdoutAndStderr",
    )


def _string(props: Props, name: str) -> str:
    value = plain(props.get(name))
    return value if isinstance(value, str) else ""
