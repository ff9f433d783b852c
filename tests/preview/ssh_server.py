"""An SSH server inside the test's own process, for the engine's plugins to connect to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncssh


@contextmanager
def ssh_server(**options: Any) -> Iterator[int]:
    """One on 127.0.0.1, on an event loop and a thread of its own, with these options of asyncssh; gives its port."""

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen("127.0.0.1", 0, encoding=None, **options)

    async def end(server: asyncssh.SSHAcceptor) -> None:
        server.close()
        await server.wait_closed()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = asyncio.run_coroutine_threadsafe(listen(), loop).result()
        try:
            yield server.get_port()
        finally:
            asyncio.run_coroutine_threadsafe(end(server), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
