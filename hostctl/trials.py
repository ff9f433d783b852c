"""Changes on trial: a timer is armed before one is made, and what is known of it is settled behind it.

At each step a kill leaves what was confirmed in force, or a timer that brings it back.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional

from hostctl import confirmation
from hostctl.admin_access import ssh_connection
from hostctl.confirmation import Confirmation, Confirmed, Trial, digest
from hostctl.errors import HostError, described
from hostctl.host import Host
from hostctl.revert_timer import RevertTimer
from hostctl.store import Record, Store
from hostctl.unit import Files, Unit, Wish


class Asked(NamedTuple):
    """One apply: what is wished, what was in force before, and the transaction that makes it so.

    `changes`: whether anything has to be changed for it; where not, `transaction` is the one that has made it so.
    `seconds`: how long it is in force unless it is confirmed.
    """

    unit: Unit
    wish: Wish
    record: Optional[Record]
    transaction: str
    changes: bool
    seconds: int


class Trials:
    """What is on trial on one host. Everything here is done under the store's lock."""

    def __init__(self, host: Host, store: Store, on_step: Callable[[str], None]) -> None:
        self.host = host
        self.store = store
        self.on_step = on_step

    @contextmanager
    def around(self, asked: Asked) -> Iterator[Dict[str, Any]]:
        """Around a change: arm before it where it needs a confirmation, settle behind it. Yields more for the report.

        `trial`: the transaction to confirm, or whose trial has been passed. `confirm_within`: seconds, or null where
        nothing has to be confirmed. Raises HostError, with nothing touched, where the timer can't be armed.
        """
        unit, seconds, report = asked.unit, asked.seconds, dict[str, Any]()
        before = confirmation.load(self.store, unit.name)
        trial = self._needed(asked, before)
        if trial is None:
            yield report
            try:
                report.update(trial=self.settle(unit, digest(asked.wish)), confirm_within=None)
            except OSError as left:
                unit.notes.append(f"{unit.name}: that this is confirmed could not be noted ({described(left)})")
            return
        self.on_step("arm")
        known = self._arm(asked, trial, before)
        try:
            yield report
        except BaseException as failure:
            if getattr(failure, "rolled_back", True):
                self._disarm(unit, before)
            raise
        self.on_step("armed")
        self._begin_anew(unit, known, trial)
        unit.notes.append(
            f"{unit.name}: in force for {seconds} s, and then taken back by itself, unless a new connection confirms it"
        )
        report.update(trial=trial.transaction, confirm_within=seconds)

    def settle(self, unit: Unit, wish: str) -> str:
        """What is in force now is confirmed; returns the transaction whose trial it has passed.

        Raises OSError where that can't be written down; a trial then goes on.
        """
        known, record = confirmation.load(self.store, unit.name), self.store.record(unit.name)
        assert record is not None
        old = known.confirmed
        passed = old.trial if old and old.wish == wish else ""
        if known.trial and known.trial.wish == wish:
            passed = known.trial.transaction
        if (known.trial, known.reverted) == (None, None) and old and (old.wish, old.record) == (wish, record):
            return passed
        settled = Confirmed(wish, passed, record, self._contents(record, old))
        confirmation.keep(self.store, unit.name, Confirmation(settled))
        self._take_timer_away(unit)
        return passed

    def _take_timer_away(self, unit: Unit) -> None:
        """Where it stays, it finds nothing to take back."""
        try:
            RevertTimer(self.host, unit.name).disarm()
        except (OSError, HostError) as left:
            unit.notes.append(f"{unit.name}: its timer could not be taken away ({described(left)}); it does nothing")

    def forget(self, unit: Unit) -> None:
        """The unit is gone, and nothing of it waits for a confirmation."""
        if self.store.confirmation(unit.name) is not None:
            self._take_timer_away(unit)
            self.store.keep_confirmation(unit.name, None)

    def _needed(self, asked: Asked, before: Confirmation) -> Optional[Trial]:
        """The trial to begin. At the console nobody is cut off, and a wish that was confirmed has passed its trial."""
        connection, wish = ssh_connection(), digest(asked.wish)
        confirmed = before.confirmed is not None and before.confirmed.wish == wish
        if not connection or confirmed or not (asked.changes or before.trial):
            return None
        return Trial.begun(wish, asked.transaction, connection, asked.seconds)

    def _arm(self, asked: Asked, trial: Trial, before: Confirmation) -> Confirmation:
        timer = RevertTimer(self.host, asked.unit.name)
        timer.refuse()
        known = Confirmation(before.confirmed if before.trial else self._in_force(asked.record, before), trial)
        try:
            confirmation.keep(self.store, asked.unit.name, known)
            timer.arm(trial.seconds, sooner=before.trial is not None and before.trial.left > trial.seconds)
        except BaseException as failure:
            self._disarm(asked.unit, before)
            if isinstance(failure, HostError):
                raise HostError(f"no timer can be armed that would take the change back: {failure}") from failure
            raise
        return known

    def _disarm(self, unit: Unit, before: Confirmation) -> None:
        """Nothing was changed: what was known before holds, an earlier trial with its timer included.

        Where that can't be written down, the timer finds nothing to take back.
        """
        try:
            if before == Confirmation():
                self.store.keep_confirmation(unit.name, None)
            else:
                confirmation.keep(self.store, unit.name, before)
        except OSError as left:
            unit.notes.append(f"{unit.name}: the timer stays until its time ({described(left)}); it does nothing")
            return
        if before.trial is None:
            self._take_timer_away(unit)

    def _begin_anew(self, unit: Unit, known: Confirmation, trial: Trial) -> None:
        """The time that the change itself has taken is not the admin's. The timer, too early then, waits for the rest.

        Where that can't be written down, it ends a little earlier.
        """
        now = Trial.begun(trial.wish, trial.transaction, trial.connection, trial.seconds)
        try:
            confirmation.keep(self.store, unit.name, known._replace(trial=now))
        except OSError as left:
            unit.notes.append(f"{unit.name}: the time for the confirmation runs already ({described(left)})")

    def _in_force(self, record: Optional[Record], before: Confirmation) -> Optional[Confirmed]:
        """What is in force where nothing is on trial: it counts as confirmed, also where an earlier hostctl made it."""
        if record is None:
            return None
        old = before.confirmed
        same = old is not None and old.record.transaction == record.transaction
        wish, passed = (old.wish, old.trial) if old and same else ("", "")
        return Confirmed(wish, passed, record, self._contents(record, old))

    def _contents(self, record: Record, known: Optional[Confirmed]) -> Files:
        """The record's files as they were written, also where somebody has changed them since, if that is known."""
        contents = {}
        for path, owned in record.files.items():
            then = known.files.get(path) if known else None
            contents[path] = then if then and then.digest == owned.written else self.host.read(path)
        return contents
