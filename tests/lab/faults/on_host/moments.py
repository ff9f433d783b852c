"""The moments of a transaction at which something happens to it: hostctl's own steps, and what is between them.

hostctl itself has no hook but `on_step`; what is between its steps is found by putting something around what it calls,
in a child that is thrown away afterwards.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

from hostctl import files
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.transaction import Transactions
from hostctl.unit import Unit
from hostctl.units import unit_named

IN_SWAP = "swap, between two files"
IN_ACTIVATE = "activate, while a program does it"
IN_PROVE = "prove, while the runtime pulls"
BACK_FILES = "going back, before the files"
IN_BACK = "going back, between two files"
BACK_ACTIVATE = "going back, before the activation"
IN_BACK_ACTIVATE = "going back, while a program activates"
BACK_VERIFY = "going back, before the verification"
GOING_BACK = (BACK_FILES, IN_BACK, BACK_ACTIVATE, IN_BACK_ACTIVATE, BACK_VERIFY)
RECOVERING = "recover, before the activation"
AFTER_COMMIT = ("close",)
"""The steps at whose start the change is already made."""
SENT = 20
"""Pieces of a request's body that have gone out before what sends them is killed."""


def die() -> None:
    """As a kill -9, an out-of-memory killer or a power cut do it."""
    os.kill(os.getpid(), signal.SIGKILL)


class Watched:
    """One transaction whose moments are told to `told`, by name; `seen` holds those that came. Only in a child."""

    def __init__(self, owner: str, unit: str, told: Callable[[str], None], refuses: bool = False) -> None:
        """`refuses`: the program is said not to show what was wished, so that the change is taken back."""
        self.told = told
        self.seen: list[str] = []
        self.phase = ""
        self._sent = 0
        self._refuses = refuses
        self.unit = unit_named(unit)
        self.transactions = Transactions(Host(), self._step, owner)
        self._around_files()
        self._around_programs()
        self._around_unit()
        self._around_the_way_back()

    def _tell(self, moment: str) -> None:
        if moment not in self.seen:
            self.seen.append(moment)
            self.told(moment)

    def _step(self, name: str) -> None:
        self.phase = name
        self._tell(name)

    def _around_files(self) -> None:
        swap, write = files.swap, files.write
        done = {"swap": 0, "back": 0}

        def count() -> None:
            if self.phase in done:
                done[self.phase] += 1
                if done[self.phase] == 2:
                    self._tell(IN_SWAP if self.phase == "swap" else IN_BACK)

        def watched_swap(path: Any) -> None:
            count()
            swap(path)

        def watched_write(path: Any, state: Any) -> None:
            count()
            write(path, state)

        vars(files).update(swap=watched_swap, write=watched_write)

    def _around_programs(self) -> None:
        """A program that has been started goes on when hostctl is dead, and so does what dockerd was asked for."""
        start, send = subprocess.Popen.__init__, http.client.HTTPConnection.send

        def started(*arguments: Any, **options: Any) -> None:
            start(*arguments, **options)
            self._working()

        def sent(connection: http.client.HTTPConnection, data: Any) -> None:
            send(connection, data)
            self._sent += self.phase == "activate"
            if self.phase == "prove" or self._sent > SENT:
                self._working()

        vars_of: Any = subprocess.Popen
        vars_of.__init__ = started
        vars_of = http.client.HTTPConnection
        vars_of.send = sent

    def _working(self) -> None:
        inside = {"activate": IN_ACTIVATE, "prove": IN_PROVE, "back-activate": IN_BACK_ACTIVATE}
        if self.phase in inside:
            self._tell(inside[self.phase])

    def _around_unit(self) -> None:
        unit: Any = self.unit
        activate, verify = unit.activate, unit.verify

        def watched_activate(*arguments: Any) -> None:
            if self.phase.startswith("back"):
                self._tell(BACK_ACTIVATE)
                self.phase = "back-activate"
            activate(*arguments)

        def watched_verify(host: Host, change: Any, patience: float) -> None:
            if self.phase.startswith("back"):
                self.phase = "back-verify"
                self._tell(BACK_VERIFY)
            elif self._refuses and self.phase == "verify":
                raise HostError("the test says: not what was wished")
            verify(host, change, patience)

        unit.activate, unit.verify = watched_activate, watched_verify

    def _around_the_way_back(self) -> None:
        transactions: Any = self.transactions
        put_back = transactions.recovery._put_files_back

        def watched(unit: Unit, journal: Any) -> Any:
            self._tell(BACK_FILES)
            change = put_back(unit, journal)
            self.phase = "back"
            return change

        transactions.recovery._put_files_back = watched
