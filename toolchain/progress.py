"""Says during a long step what is being done and for how long."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final, TextIO

TERMINAL_SECONDS: Final = 0.5
LINE_SECONDS: Final = 30.0


class Progress:
    """Shows `what` and the elapsed time: one changing line on a terminal, elsewhere a line each 30 s."""

    def __init__(self, what: str, out: TextIO) -> None:
        self._what = what
        self._out = out
        self._terminal = out.isatty()
        self._started = time.monotonic()
        self._note = ""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def note(self, text: str) -> None:
        """Tell how far it is."""
        self._note = text

    def __enter__(self) -> Progress:
        if not self._terminal:
            print(f"{self._what} ...", file=self._out, flush=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        end = "\r\033[K" if self._terminal else ""
        result = "failed" if kind else "done"
        print(f"{end}{self._what}: {result} after {self._elapsed()}", file=self._out, flush=True)

    def _elapsed(self) -> str:
        return f"{int(time.monotonic() - self._started)} s"

    def _line(self) -> str:
        note = f", {self._note}" if self._note else ""
        return f"{self._what}: {self._elapsed()}{note}"

    def _show(self) -> None:
        while not self._done.wait(TERMINAL_SECONDS if self._terminal else LINE_SECONDS):
            if self._terminal:
                print(f"\r\033[K{self._line()}", end="", file=self._out, flush=True)
            else:
                print(self._line(), file=self._out, flush=True)
