"""The resource types of the offline `command` plugin."""

from __future__ import annotations

from toolchain.plugins.command.copy_to_remote import CopyToRemote
from toolchain.plugins.command.local import LocalCommand
from toolchain.plugins.command.pool import Pool
from toolchain.plugins.command.remote import RemoteCommand
from toolchain.plugins.shared import server
from toolchain.plugins.shared.plugin import Plugin


def main() -> None:
    """Serve the plugin to the engine."""
    pool = Pool()
    server.main(Plugin("command", [LocalCommand(), RemoteCommand(pool), CopyToRemote(pool)]))
