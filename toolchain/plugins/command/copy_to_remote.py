"""command:remote:CopyToRemote: a file, a text or a folder, copied to a host by SFTP.

Behaviour of pulumi-command v1.2.1, `remote/copyController.go`.
"""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

from toolchain.plugins.command.connection import checked_connection, parsed_connection
from toolchain.plugins.command.inputs import ARRAY, STRING, wrong_types
from toolchain.plugins.command.pool import Pool
from toolchain.plugins.shared.diff import Diff, inputs_diff
from toolchain.plugins.shared.resource import (
    Checked,
    Context,
    Created,
    DiffRequest,
    Failure,
    ProviderError,
    ResourceType,
    unique_hex,
)
from toolchain.plugins.shared.values import Archive, Asset, Props, Value, plain


class CopyToRemote(ResourceType):
    """Copies anew when the source's content or `remotePath` changes; removes nothing from the host."""

    token = "command:remote:CopyToRemote"  # noqa: S105 - a type token
    inputs = frozenset({"connection", "source", "remotePath", "triggers"})

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def check(self, context: Context, old: Props, new: Props) -> Checked:
        """A path or a text. An unknown source fails, as in v1.2.1 (its issue 1183)."""
        connection, failures = checked_connection(new.get("connection"))
        failures = (
            *failures,
            *wrong_types(new, {"remotePath": STRING, "triggers": ARRAY}),
            *_source_failures(plain(new.get("source"))),
        )
        if new.get("remotePath") is None:
            failures = (*failures, Failure("remotePath", "is required: the destination on the host"))
        return Checked({**new, "connection": connection}, failures)

    async def diff(self, context: Context, request: DiffRequest) -> Diff:
        """Any change updates; `triggers` replaces."""
        changes = inputs_diff(request.old_inputs, request.new_inputs, request.ignore_changes)
        return changes.replacing({"triggers"})

    async def create(self, context: Context, inputs: Props, preview: bool) -> Created:
        """Copy."""
        if not preview:
            await _copy(self._pool, context, inputs)
        return Created(unique_hex(""), inputs)

    async def update(
        self, context: Context, id: str, old_state: Props, old_inputs: Props, new: Props, preview: bool
    ) -> Props:
        """Copy if content or destination changed; another connection alone copies nothing."""
        same_place = plain(old_state.get("remotePath")) == plain(new.get("remotePath"))
        if not preview and not (same_place and _same_content(old_state.get("source"), new.get("source"))):
            await _copy(self._pool, context, new)
        return new

    async def delete(self, context: Context, id: str, state: Props) -> None:
        """The copy stays on the host."""


def _source_failures(source: Value) -> tuple[Failure, ...]:
    if isinstance(source, Asset):
        if source.path is None and source.text is None:
            return (Failure("asset", "asset must be a path-based file asset or a text asset"),)
        return ()
    if isinstance(source, Archive):
        if source.path is None:
            return (Failure("archive", "archive must be a path to a file or directory"),)
        return ()
    return (Failure("asset", "either asset or archive must be set"),)


def _same_content(old: Value, new: Value) -> bool:
    """Compared by the engine's hash, so a file under another name is the same; without one, as a whole."""
    before, after = plain(old), plain(new)
    if isinstance(before, Asset | Archive) and isinstance(after, Asset | Archive):
        return before.hash == after.hash if before.hash and after.hash else before == after
    return False


async def _copy(pool: Pool, context: Context, inputs: Props) -> None:
    # asyncssh costs half a second: a preview needs none of it.
    import asyncssh

    from toolchain.plugins.command.sftp import copy_path, copy_text

    source, remote = plain(inputs["source"]), plain(inputs["remotePath"])
    if not isinstance(source, Asset | Archive) or not isinstance(remote, str):
        raise ProviderError("the source or the remotePath of this copy is not known")
    async with pool.connected(parsed_connection(inputs["connection"]), context.log) as connection:
        try:
            async with connection.start_sftp_client() as sftp:
                if isinstance(source, Asset) and source.path is None:
                    await copy_text(sftp, source.text or "", remote)
                else:
                    await copy_path(sftp, source.path or "", remote)
        except asyncssh.Error as failure:
            raise ProviderError(f"can't copy to {remote} by SFTP: {failure.reason}") from None
