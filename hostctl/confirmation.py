"""What a host remembers of the changes that count only once they are confirmed. Values; no change is made here.

A change that could cut its admin off is first a *trial*: in force for some seconds, and then taken back by a timer.
A confirmation, which another connection has to bring, makes it stay.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, NamedTuple, Optional

from hostctl import systemd
from hostctl.files import FileState
from hostctl.store import Record, Store
from hostctl.unit import Files, Wish

NO_POLICY = ("confirm_seconds", "force")
"""Keys of a wish that say how it is applied, not what is wished."""


class Confirmed(NamedTuple):
    """What was in force when it was last confirmed, whole: the way back.

    `wish`: its digest, empty where an earlier hostctl has applied it. `trial`: the transaction whose trial it has
    passed, empty where it needed none.
    """

    wish: str
    trial: str
    record: Record
    files: Files


class Trial(NamedTuple):
    """A change that is taken back at `until`.

    `wish`: its digest. `transaction`: the one that puts it in force. `connection`: the one that asked for it.
    `seconds`: how long it is in force; `until`: to when, in microseconds of CLOCK_MONOTONIC of the boot `boot`.
    """

    wish: str
    transaction: str
    connection: str
    seconds: int
    boot: str
    until: int

    @staticmethod
    def begun(wish: str, transaction: str, connection: str, seconds: int) -> Trial:
        """A trial that begins now."""
        return Trial(wish, transaction, connection, seconds, systemd.boot(), systemd.monotonic() + seconds * 1_000_000)

    def tries(self, record: Optional[Record]) -> bool:
        """Whether what is in force is what this is a trial of."""
        return record is not None and record.transaction == self.transaction

    @property
    def rebooted(self) -> bool:
        """Whether the host has been restarted since."""
        return self.boot != systemd.boot()

    @property
    def left(self) -> float:
        """Seconds until it is taken back, 0 where it is time."""
        return 0.0 if self.rebooted else max(0.0, (self.until - systemd.monotonic()) / 1e6)


class Reverted(NamedTuple):
    """A trial that nobody confirmed. `at`: when it was taken back, UTC; `told`: whether anybody has heard of it."""

    wish: str
    seconds: int
    at: str
    rebooted: bool
    told: bool = False


class Confirmation(NamedTuple):
    """All that is known of one unit. During a trial `confirmed` is what comes back; None: nothing of the unit."""

    confirmed: Optional[Confirmed] = None
    trial: Optional[Trial] = None
    reverted: Optional[Reverted] = None


def digest(wish: Wish) -> str:
    """Names what is wished: SHA-256, in hex."""
    policy = {key: value for key, value in wish.items() if key not in NO_POLICY}
    return hashlib.sha256(json.dumps(policy, sort_keys=True).encode()).hexdigest()


def load(store: Store, unit: str) -> Confirmation:
    """What is known of the unit; nothing where it never was in force."""
    data = store.confirmation(unit) or {}
    confirmed, trial, reverted = (data.get(key) for key in ("confirmed", "trial", "reverted"))
    return Confirmation(
        _confirmed(confirmed) if confirmed else None,
        Trial(**trial) if trial else None,
        Reverted(**reverted) if reverted else None,
    )


def keep(store: Store, unit: str, known: Confirmation) -> None:
    """Replace what is known of the unit."""
    ends: Dict[str, Any] = {
        "trial": known.trial._asdict() if known.trial else None,
        "reverted": known.reverted._asdict() if known.reverted else None,
    }
    if known.confirmed:
        files = {path: state.to_json() if state else None for path, state in known.confirmed.files.items()}
        record = known.confirmed.record.to_json()
        ends["confirmed"] = {**known.confirmed._asdict(), "record": record, "files": files}
    store.keep_confirmation(unit, ends)


def _confirmed(data: Dict[str, Any]) -> Confirmed:
    files = {path: FileState.from_json(each) for path, each in data["files"].items()}
    return Confirmed(**{**data, "record": Record.from_json(data["record"]), "files": files})
