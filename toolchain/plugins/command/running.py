"""What a run gives back, and what is the same for a local and a remote one.

Behaviour of pulumi-command v1.2.1, `provider/pkg/provider/{local,remote}/commandOutputs.go`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from toolchain.plugins.shared.log import EngineLog
from toolchain.plugins.shared.resource import ProviderError

Stream: TypeAlias = Literal["stdout", "stderr"]
LINE_LIMIT: Final = 64 * 1024
"""Bytes; a longer line ends the logging of a run (Go's bufio.Scanner), never its capture."""

LOGGED: Final[dict[str, frozenset[Stream]]] = {
    "stdout": frozenset({"stdout"}),
    "stderr": frozenset({"stderr"}),
    "stdoutAndStderr": frozenset({"stdout", "stderr"}),
    "none": frozenset(),
}


@dataclass(frozen=True)
class Output:
    """What a command wrote, each stream without one trailing newline."""

    stdout: str
    stderr: str


@dataclass(frozen=True)
class Run:
    """One command with everything that it runs with."""

    command: str
    stdin: str = field(default="", repr=False)
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    previous: dict[str, str] = field(default_factory=dict, repr=False)
    """PULUMI_COMMAND_STDOUT and _STDERR, where the previous run left something."""
    logging: str = "stdoutAndStderr"


class Capture:
    """Collects both streams, apart and in the order of arrival, and passes whole lines on to the log."""

    def __init__(self, log: EngineLog, logging: str) -> None:
        self._log = log
        self._logged = LOGGED[logging]
        self._streams: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._combined = bytearray()
        self._unfinished: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._logging = asyncio.create_task(self._write_lines())

    def feed(self, stream: Stream, data: bytes) -> None:
        """Take what arrived on `stream`."""
        self._streams[stream] += data
        self._combined += data
        if stream not in self._logged:
            return
        *lines, rest = (self._unfinished[stream] + data).split(b"\n")
        self._unfinished[stream] = rest
        for line in lines:
            if len(line) > LINE_LIMIT:
                return self._stop_logging()
            self._lines.put_nowait(line)
        if len(rest) > LINE_LIMIT:
            self._stop_logging()

    def _stop_logging(self) -> None:
        self._logged, self._unfinished = frozenset(), {}

    async def end(self) -> None:
        """All output is in: log each stream's last line."""
        for line in filter(None, self._unfinished.values()):
            self._lines.put_nowait(line)
        self._lines.put_nowait(None)
        await self._logging

    async def _write_lines(self) -> None:
        while (line := await self._lines.get()) is not None:
            await self._log.write("INFO", _text(line), status=True)

    def output(self) -> Output:
        """Both streams; exactly one trailing newline is taken off each."""
        return Output(
            stdout=_text(self._streams["stdout"]).removesuffix("\n"),
            stderr=_text(self._streams["stderr"]).removesuffix("\n"),
        )

    def failure(self, error: str, command: str) -> ProviderError:
        """The error of a failed run, with the command and all its output, as the official one has it."""
        return ProviderError(f"{error}: running {go_quote(command)}:\n{_text(self._combined)}")


def _text(data: bytes | bytearray) -> str:
    return data.decode("utf-8", errors="replace")


_ESCAPES: Final = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def go_quote(text: str) -> str:
    """`text` as Go's `%q` writes it."""
    return '"' + "".join(map(_go_character, text)) + '"'


def _go_character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
