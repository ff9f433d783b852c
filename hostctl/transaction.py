"""One change to a host: the old or the new state, never a mix.

lock -> journal -> merge -> write beside -> check -> swap -> activate -> verify -> prove -> commit; a failure goes back.
A crash is finished by the next call: a journal without its commit mark means that the old state is put back first.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, ContextManager, Dict, Iterable, Iterator, List, Optional

from hostctl import files, recovery
from hostctl.errors import HostError, described
from hostctl.host import Host
from hostctl.journal import Journal
from hostctl.plan import Plan, Planner
from hostctl.recovery import Recovery, TransactionFailed
from hostctl.store import Record, Store
from hostctl.unit import NONE, Change, Unit, Wish

if TYPE_CHECKING:
    from hostctl.trials import Trials

SHOW_PATIENCE = 1.0
"""Seconds that a runtime has to show what is in force already: just after a reload, old workers may still answer."""


class Transactions:
    """Carries out requests on one host for `owner`. `on_step` is told each step's name before it is taken."""

    def __init__(self, host: Host, on_step: Callable[[str], None] = lambda _step: None, owner: str = "") -> None:
        self.host = host
        self.store = Store(host)
        self.recovery = Recovery(host, self.store)
        self.on_step = on_step
        self.owner = owner

    @property
    def trials(self) -> Trials:
        """What is on trial here."""
        from hostctl.trials import Trials  # few units have any, and for the others it is much to load

        return Trials(self.host, self.store, self.on_step)

    def apply(self, unit: Unit, wish: Wish) -> Dict[str, Any]:
        """Make the wish so; returns the report."""
        with self.locked(unit) as record:
            unit.preflight(self.host, wish)
            planner = Planner(self.host, unit, record)
            plan = planner.apply(wish)
            plan = plan._replace(record=plan.record and plan.record._replace(owner=self.owner))
            if record is not None and not plan.change.changed and self._shows(unit, plan.change):
                if plan.record != record:
                    self.store.keep(unit.name, plan.record)
                with self._on_trial(unit, wish, record, record.transaction, changes=False) as more:
                    pass
                return {**self._report(unit, plan, "unchanged", NONE), **more}
            transaction = new_transaction()
            with self._on_trial(unit, wish, record, transaction, changes=True) as more:
                level = self.carry_out(unit, plan, planner.missing_folders(plan.change), transaction)
            taken_over = record is None and plan.change.after and not plan.change.changed and level == NONE
            result = "unchanged" if taken_over else "changed"
            return {**self._report(unit, plan, result, level), **more}

    @contextmanager
    def locked(self, unit: Unit) -> Iterator[Optional[Record]]:
        """Hold the lock, finish what a crash has interrupted, refuse another stack; gives the unit's record."""
        with self.store.lock():
            self.recovery.finish(unit)
            record = self.store.record(unit.name)
            self._refuse_another_stack(unit, record)
            yield record

    def remove(self, unit: Unit, *, whole: bool = False) -> Dict[str, Any]:
        """Put back what was there before the unit's first apply; returns the report. `whole`: so does `remove_all`."""
        with self.store.lock():
            self.recovery.finish(unit)
            record = self.store.record(unit.name)
            if record is None:
                self.trials.forget(unit)
                return self._absent(unit)
            if unit.lets_us_in and not whole and self.store.units() == {unit.name}:
                unit.notes.append(f"{unit.name}: stays for the host's last step, which may need it")
                return {**self._absent(unit), "result": "kept"}
            if not same_owner(self.owner, record.owner):
                unit.notes.append(f"{unit.name}: belongs to {record.owner} by now; left alone")
                return self._absent(unit)
            planner = Planner(self.host, unit, record)
            plan = planner.remove()
            level = self.carry_out(unit, plan, planner.missing_folders(plan.change), new_transaction())
            self.trials.forget(unit)
            return self._report(unit, plan, "removed", level)

    def remove_all(self, units: Iterable[Unit]) -> Dict[str, Any]:
        """Remove every unit of the owner that is there, also one whose change was interrupted, then hostctl's folder.

        What belongs to another owner stays, and with it the folder; that also as long as one who shares the host is
        there. `units` are all that there are, in their order.
        """
        there = self.store.units()
        reports = [self.remove(unit, whole=True) for unit in units if unit.name in there]
        with self.store.lock():
            if self.store.move_out(self.owner) and not self.store.units():
                self.store.vanish()
        return {
            "result": "removed",
            "units": [report["unit"] for report in reports if report["result"] == "removed"],
            "notes": [note for report in reports for note in report["notes"]],
        }

    def observe(self, unit: Unit) -> Dict[str, Any]:
        """Report what is there; changes nothing."""
        return {"unit": unit.name, "result": "observed", "documents": unit.observe(self.host)}

    def _on_trial(
        self, unit: Unit, wish: Wish, record: Optional[Record], transaction: str, *, changes: bool
    ) -> ContextManager[Dict[str, Any]]:
        """Around a change, which is on trial where it needs a confirmation. Gives more for the report."""
        seconds = unit.confirm_seconds(wish)
        if seconds is None:
            return nullcontext({})
        from hostctl.trials import Asked

        return self.trials.around(Asked(unit, wish, record, transaction, changes, seconds))

    def _refuse_another_stack(self, unit: Unit, record: Optional[Record]) -> None:
        """A host that was renamed within its stack is taken over."""
        if record is not None and not same_owner(_stack(self.owner), _stack(record.owner)):
            raise HostError(
                f"{unit.name}: this host is managed by the stack {_stack(record.owner)}; take it out of that stack "
                f"or of {_stack(self.owner)}. Where that stack is gone, 'hostctl remove-all' as {record.owner} takes "
                "back what it has left here (docs/day-two.md)"
            )

    def _shows(self, unit: Unit, change: Change) -> bool:
        try:
            unit.verify(self.host, change, SHOW_PATIENCE)
        except HostError:
            return False
        return True

    def carry_out(self, unit: Unit, plan: Plan, created: List[str], transaction: str) -> str:
        """Make a planned change, under the lock; returns the level of its activation."""
        change = plan.change
        owned = plan.record.files if plan.record else {}
        journal = Journal(
            transaction=transaction,
            before=change.before,
            after=change.after,
            facts_before=change.facts_before,
            facts=change.facts,
            ours={path: owned[path].ours if path in owned else None for path in change.after},
            keeps_record=plan.record is not None,
            created=created,
            obsolete=plan.known.folders,
            put_aside=plan.put_aside,
        )
        self.on_step("journal")
        self.store.write_journal(unit.name, journal)
        try:
            self.on_step("write")
            candidates = self._write_candidates(change)
            self.on_step("check")
            unit.check(self.host, change, candidates)
            level = unit.activation(self.host, change)
            stages = unit.stages(self.host, change, level)
            self._refuse_late_edits(change)
            at_swap = journal.at_swap(level, stages + unit.stages(self.host, change.reverse, level))
            self.store.write_journal(unit.name, at_swap)
            journal = at_swap
            for stage in stages:
                self.on_step("stage")
                self.recovery.make_live(unit, stage, level)
            self.on_step("swap")
            self._swap(plan)
            self.on_step("activate")
            unit.activate(self.host, change, level)
            self.on_step("verify")
            unit.verify(self.host, change, recovery.VERIFY_PATIENCE)
            self.on_step("prove")
            unit.prove(self.host, change)
            self.on_step("commit")
            record = plan.record and plan.record._replace(transaction=journal.transaction)
            self.store.keep(unit.name, record)
            self.on_step("close")
        except BaseException as failure:
            if not self.recovery.committed(unit, journal):
                raise self.recovery.go_back(unit, journal, failure) from failure
        try:
            self.recovery.close(unit, journal)
        except OSError as left:
            unit.notes.append(f"the change is made; the next call cleans up behind it ({described(left)})")
        return level

    def _write_candidates(self, change: Change) -> Dict[str, Path]:
        candidates = {}
        for path in change.changed:
            state = change.after[path]
            if state is not None:
                with self.host.rights(path):
                    real = self.host.path(path)
                    files.make_folders(real.parent)
                    candidates[path] = files.write_candidate(real, state)
        return candidates

    def _refuse_late_edits(self, change: Change) -> None:
        for path in change.changed:
            if self.host.read(path) != change.before[path]:
                raise HostError(f"{path}: somebody changed it while it was being worked on; try again")

    def _swap(self, plan: Plan) -> None:
        for path in plan.change.changed:
            with self.host.rights(path):
                real = self.host.path(path)
                if path in plan.put_aside:
                    files.write(self.host.path(plan.put_aside[path]), plan.change.before[path])
                if plan.change.after[path] is None:
                    files.write(real, None)
                else:
                    files.swap(real)

    @staticmethod
    def _absent(unit: Unit) -> Dict[str, Any]:
        return {"unit": unit.name, "result": "absent", "files": [], "activation": NONE, "notes": unit.notes}

    def _report(self, unit: Unit, plan: Plan, result: str, level: str) -> Dict[str, Any]:
        try:
            extra = unit.report(self.host, plan.change) if result != "removed" else {}
        except HostError as mute:
            raise TransactionFailed(f"the change is made, but can't be reported: {mute}", False) from mute
        notes = unit.notes + plan.notes + list(extra.pop("notes", []))
        changed = sorted(plan.change.changed)
        return {
            "unit": unit.name,
            "result": result,
            "files": changed,
            "activation": level,
            "notes": notes,
            **extra,
        }


def new_transaction() -> str:
    """A name for a transaction that no other has."""
    return os.urandom(16).hex()


def _stack(owner: str) -> str:
    return owner.rpartition("/")[0]


def same_owner(one: str, other: str) -> bool:
    """Whether two owners are one; who says nothing is anybody."""
    return not one or not other or one == other
