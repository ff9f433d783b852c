"""Removing what the daemon may still be letting go of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from toolchain.plugins.docker.daemon import Client, Daemon, DaemonError
from toolchain.plugins.shared.resource import ProviderError

REMOVE_SECONDS: Final = 30


async def removed(daemon: Daemon, what: str, remove: Callable[[Client], object], busy: str) -> None:
    """Have `remove` done; for 30 s again while the daemon's refusal says `busy`. What is gone already is removed."""
    deadline = asyncio.get_running_loop().time() + REMOVE_SECONDS
    while True:
        try:
            await daemon.call(remove)
            return
        except DaemonError as failure:
            if failure.gone:
                return
            if busy not in str(failure) or asyncio.get_running_loop().time() > deadline:
                raise ProviderError(f"Unable to remove {what}: {failure}") from None
        await asyncio.sleep(1)
