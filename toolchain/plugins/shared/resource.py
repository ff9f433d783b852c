"""The base class of a resource type, and the answers it gives.

Stands directly on the engine's protocol (`server.py`) and not on `pulumi.provider.experimental`: that stack
(3.272.0) has no old inputs in Diff, can't return unknowns, forgets the hash of assets and puts a Python
traceback behind each error text.
"""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from toolchain.plugins.shared.diff import Diff, inputs_diff
from toolchain.plugins.shared.log import EngineLog, SilentLog
from toolchain.plugins.shared.values import Props, Value


class ProviderError(Exception):
    """What a person reads when an operation failed: one clear text, no traceback."""


class PartialFailure(ProviderError):
    """The resource exists but isn't complete; the engine keeps it in the state, to be updated next time."""

    def __init__(self, id: str, state: Props, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.id = id
        self.state = state
        self.reasons = reasons


@dataclass(frozen=True)
class Context:
    """What every operation is told about its resource."""

    urn: str
    log: EngineLog = field(default_factory=SilentLog)
    config: Mapping[str, Value] = field(default_factory=dict)
    random_seed: bytes = b""
    timeout: float = 0
    """Seconds, from the resource option `custom_timeouts`; 0: none given."""

    @property
    def type(self) -> str:
        """The type token, e.g. `command:local:Command`."""
        return self.urn.split("::")[2].split("$")[-1]

    @property
    def name(self) -> str:
        """The name that the program gave."""
        return self.urn.split("::", 3)[3]


@dataclass(frozen=True)
class Failure:
    """A property that is wrong, and why."""

    property: str
    reason: str


@dataclass(frozen=True)
class Checked:
    """The inputs with defaults filled in, or what is wrong with them."""

    inputs: Props
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class DiffRequest:
    """What Diff compares."""

    id: str
    old_state: Props
    old_inputs: Props
    new_inputs: Props
    ignore_changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Created:
    """A new resource."""

    id: str
    state: Props


@dataclass(frozen=True)
class Read:
    """A resource as it is now."""

    id: str
    state: Props
    inputs: Props


class ResourceType(ABC):
    """One resource type of a plugin. All methods run on one event loop, many at a time: none may block it."""

    token: ClassVar[str]
    """The type, e.g. `command:local:Command`."""

    inputs: ClassVar[frozenset[str]]
    """The supported inputs; any other is refused by name in Check, never ignored."""

    async def check(self, context: Context, old: Props, new: Props) -> Checked:
        """Fill in defaults and validate; unsupported inputs were refused already."""
        return Checked(new)

    async def diff(self, context: Context, request: DiffRequest) -> Diff:
        """What changed. Unless overridden every changed input is an update in place."""
        return inputs_diff(request.old_inputs, request.new_inputs, request.ignore_changes)

    @abstractmethod
    async def create(self, context: Context, inputs: Props, preview: bool) -> Created:
        """Make it; in a preview only say what the state will be."""

    async def read(self, context: Context, id: str, state: Props, inputs: Props) -> Read | None:
        """The resource as it is now, None when it is gone. Unless overridden: as the state has it."""
        return Read(id, state, inputs)

    @abstractmethod
    async def update(
        self, context: Context, id: str, old_state: Props, old_inputs: Props, new: Props, preview: bool
    ) -> Props:
        """Change it in place; gives the new state."""

    @abstractmethod
    async def delete(self, context: Context, id: str, state: Props) -> None:
        """Remove it."""

    def unsupported(self, inputs: Props) -> tuple[Failure, ...]:
        """A failure for each input that this plugin doesn't have."""
        supported = ", ".join(sorted(self.inputs))
        return tuple(
            Failure(
                name,
                f"{self.token} has no input `{name}` in the offline plugin, which supports {supported}; "
                "leave it out, or install the official plugin",
            )
            for name in sorted(inputs.keys() - self.inputs)
            if not name.startswith("__") and name != "version"
        )


def unique_hex(prefix: str, length: int = 8) -> str:
    """`prefix` and `length` random hex digits: `resource.NewUniqueHex(prefix, length, 0)` of the Go SDK."""
    return prefix + secrets.token_hex((length + 1) // 2)[:length]
