"""command:local:Command: runs on the machine that runs Pulumi."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from typing import ClassVar, cast

from toolchain.plugins.command.command import KINDS, CommandType
from toolchain.plugins.command.inputs import STRING, STRINGS, Kind
from toolchain.plugins.command.running import Capture, Output, Run, Stream
from toolchain.plugins.shared.resource import Context
from toolchain.plugins.shared.values import Props

DEFAULT_INTERPRETER = ("/bin/sh", "-c")
"""Used when `interpreter` is absent; never in the state."""


class LocalCommand(CommandType):
    """`assetPaths` and `archivePaths` are not supported, and refused in Check."""

    token = "command:local:Command"  # noqa: S105 - a type token
    kinds: ClassVar[Mapping[str, Kind]] = {**KINDS, "interpreter": STRINGS, "dir": STRING}
    inputs = frozenset(kinds)

    async def run(self, context: Context, run: Run, props: Props) -> Output:
        """Run through the interpreter, in `dir` or where the program is."""
        interpreter = cast("list[str]", props.get("interpreter") or list(DEFAULT_INTERPRETER))
        folder = props.get("dir")
        capture = Capture(context.log, run.logging)
        try:
            error = await _execute(
                [*interpreter, run.command], run, folder if isinstance(folder, str) else None, capture
            )
        finally:
            await capture.end()
        if error:
            raise capture.failure(error, run.command)
        return capture.output()


async def _execute(arguments: list[str], run: Run, folder: str | None, capture: Capture) -> str | None:
    """Run to the end; gives the error in Go's words, None when all went well."""
    if folder and not os.path.isdir(folder):  # noqa: PTH112 - one stat, no object
        return f"chdir {folder}: no such file or directory"
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=PIPE if run.stdin else DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            cwd=folder or None,
            env={**os.environ, **run.environment, **run.previous},
        )
    except FileNotFoundError:
        return f'exec: "{arguments[0]}": executable file not found in $PATH'
    except OSError as failure:
        return f"fork/exec {arguments[0]}: {(failure.strerror or str(failure)).lower()}"
    try:
        await asyncio.gather(
            _feed(process, run.stdin), _read(process, "stdout", capture), _read(process, "stderr", capture)
        )
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    if status < 0:
        return f"signal: {(signal.strsignal(-status) or str(-status)).lower()}"
    return f"exit status {status}" if status else None


async def _feed(process: Process, stdin: str) -> None:
    if process.stdin is None:
        return
    try:
        process.stdin.write(stdin.encode())
        await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        return


async def _read(process: Process, stream: Stream, capture: Capture) -> None:
    reader = process.stdout if stream == "stdout" else process.stderr
    while reader is not None and (data := await reader.read(64 * 1024)):
        capture.feed(stream, data)
