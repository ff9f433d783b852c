"""command:remote:Command: runs on a host over SSH, by the login shell of its user."""

from __future__ import annotations

from toolchain.plugins.command.command import KINDS, CommandType
from toolchain.plugins.command.connection import checked_connection, parsed_connection
from toolchain.plugins.command.pool import Pool
from toolchain.plugins.command.running import Capture, Output, Run
from toolchain.plugins.shared.resource import Checked, Context
from toolchain.plugins.shared.values import Props


class RemoteCommand(CommandType):
    """The command string is sent as it is: no sudo, no folder, no interpreter."""

    token = "command:remote:Command"  # noqa: S105 - a type token
    kinds = KINDS
    inputs = frozenset(KINDS) | {"connection"}

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def check(self, context: Context, old: Props, new: Props) -> Checked:
        """Refuse wrong types; the connection's defaults go into the state."""
        checked = await super().check(context, old, new)
        connection, failures = checked_connection(new.get("connection"))
        return Checked({**checked.inputs, "connection": connection}, (*checked.failures, *failures))

    async def run(self, context: Context, run: Run, props: Props) -> Output:
        """Log in, or find a login, and run."""
        # asyncssh costs half a second: a preview needs none of it.
        from toolchain.plugins.command.session import execute

        async with self._pool.connected(parsed_connection(props["connection"]), context.log) as connection:
            capture = Capture(context.log, run.logging)
            try:
                error = await execute(connection, run, capture, context.log)
            finally:
                await capture.end()
        if error:
            raise capture.failure(error, run.command)
        return capture.output()
