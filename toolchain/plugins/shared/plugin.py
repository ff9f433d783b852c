"""A plugin: its resource types, its functions and its configuration."""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from toolchain.plugins.shared.diff import Diff, inputs_diff
from toolchain.plugins.shared.resource import Checked, Context, Failure, ProviderError, ResourceType
from toolchain.plugins.shared.values import Props

Function: TypeAlias = Callable[[Context, Props], Awaitable[Props]]


class Plugin:
    """One plugin. A plugin with more to say about its configuration subclasses this."""

    def __init__(
        self,
        name: str,
        types: Sequence[ResourceType],
        functions: Mapping[str, Function] | None = None,
        config_inputs: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name
        self.version = sdk_version(name)
        self.types = {kind.token: kind for kind in types}
        self.functions = dict(functions or {})
        self.config_inputs = config_inputs
        self.config: Props = {}

    def kind(self, context: Context) -> ResourceType:
        """The resource type of `context`, or a `ProviderError` that names it."""
        kind = self.types.get(context.type)
        if kind is None:
            raise ProviderError(
                f"the offline plugin {self.name} has no resource type {context.type}, only "
                f"{', '.join(sorted(self.types))}; use one of these or install the official plugin"
            )
        return kind

    def function(self, token: str) -> Function:
        """The function of that token, or a `ProviderError` that names it."""
        function = self.functions.get(token)
        if function is None:
            raise ProviderError(f"the offline plugin {self.name} has no function {token}; install the official plugin")
        return function

    async def check_config(self, old: Props, new: Props) -> Checked:
        """Refuse configuration that this plugin doesn't have."""
        unknown = sorted(new.keys() - self.config_inputs - {"version", "pluginDownloadURL"})
        return Checked(
            new,
            tuple(
                Failure(name, f"the offline plugin {self.name} has no configuration `{name}`")
                for name in unknown
                if not name.startswith("__")
            ),
        )

    async def diff_config(self, old: Props, new: Props) -> Diff:
        """A changed configuration updates the provider in place and replaces no resource."""
        return inputs_diff(old, new)

    async def configure(self, config: Props) -> None:
        """Take the checked configuration."""
        self.config = config


def sdk_version(name: str) -> str:
    """The plugin version that the installed SDK package `pulumi_NAME` asks for; without importing it."""
    spec = find_spec(f"pulumi_{name}")
    if spec is None or not spec.submodule_search_locations:
        raise ProviderError(f"the package pulumi-{name} is not installed; run: pip install -r requirements.txt")
    text = (Path(spec.submodule_search_locations[0]) / "pulumi-plugin.json").read_text(encoding="utf-8")
    return str(json.loads(text)["version"])
