"""What a program that lives for a second has no use for, left out of the SDK and the interpreter (docs/start-up.md)."""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import signal

from pulumi import log
from pulumi.runtime import settings as sdk

DEBUG = "HTTP_REGISTRY_SDK_DEBUG"
"""Set to anything, the SDK's own debug lines are sent."""


def live_briefly() -> None:
    """Call this before anything is declared.

    The SDK has some five debug lines a resource, each a call to the engine that every other one waits for, and the
    engine shows them only with `--debug`; those are sent only where `DEBUG` is set. And the interpreter's end looks at
    whatever was ever made for cycles, which are gone with the process anyway.

    The engine interrupts a program whose stack has failed, often in the middle of a call: it ends then without a stack
    trace, which would stand beside the error that counts.

    And where no call has begun when the program is through, as when nothing in it has waited, the SDK waits for all
    outputs together, and looks at every one of them whenever one is known (pulumi 3.272.0, runtime/stack.py:
    `wait_for_rpcs`), which takes half a minute for 200 hosts. A call that does nothing lets the others begin, and the
    SDK then waits for each of them alone.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if not os.environ.get(DEBUG):
        log.debug = _unsent
    atexit.register(gc.freeze)
    sdk._get_rpc_manager().rpcs.append(asyncio.sleep(0))


def _unsent(*_: object, **__: object) -> None:
    pass
