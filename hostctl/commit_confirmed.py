"""The two ways in which a trial ends: a confirmation, or going back to what was confirmed before."""

from __future__ import annotations

import calendar
import time
from typing import Any, Callable, Dict, List, Optional

from hostctl import confirmation
from hostctl.admin_access import client_address, ssh_connection
from hostctl.confirmation import Confirmation, Reverted, Trial, digest
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.plan import Planner
from hostctl.revert_timer import RevertTimer
from hostctl.store import Record
from hostctl.transaction import Transactions, new_transaction
from hostctl.unit import Unit, Wish

APPLIED_AGAIN = "applied again, and a new connection has to confirm it"
"""In the text of the failure that a second try, by its being another connection, turns into a success."""
AT = "%Y-%m-%d %H:%M:%S UTC"
SLACK = 5
"""Seconds around a trial in which a log may speak of it."""


class NotConfirmed(HostError):
    """The wish is not confirmed; what is in force then, the text says."""

    rolled_back = None


def confirm(transactions: Transactions, unit: Unit, wish: Wish) -> Dict[str, Any]:
    """Make a wish that is on trial stay; returns the report.

    Raises NotConfirmed where it was taken back meanwhile: the first time to say so; then it is applied again, and the
    failure, which holds `APPLIED_AGAIN`, asks for one more confirmation, by a new connection.
    """
    with transactions.locked(unit) as record:
        result = _confirmed(transactions, unit, wish, record)
    if result is None:
        report = transactions.apply(unit, wish)
        if report.get("confirm_within"):
            raise NotConfirmed(f"{unit.name}: {APPLIED_AGAIN} within {report['confirm_within']} s")
        result = "confirmed"
    return {"unit": unit.name, "result": result, "notes": unit.notes, **unit.confirmed(wish)}


def _confirmed(transactions: Transactions, unit: Unit, wish: Wish, record: Optional[Record]) -> Optional[str]:
    """The result of the confirmation; None where the wish is not in force and has to be applied."""
    store, name = transactions.store, digest(wish)
    known = confirmation.load(store, unit.name)
    trial, reverted = known.trial, known.reverted
    if trial is not None and (reverted is None or trial.tries(record)):
        if trial.wish != name or not trial.tries(record):
            return None
        if trial.connection == ssh_connection():
            raise NotConfirmed(
                f"{unit.name}: this is the connection that has asked for the change, which proves nothing; confirm it "
                "over a new one"
            )
        doubt = unit.doubt(transactions.host, wish)
        if doubt:
            _take_back(transactions, unit, record, known, told=True)
            raise NotConfirmed(f"{unit.name}: {doubt}. What was in force before the change is so again")
        transactions.trials.settle(unit, name)
        unit.notes.append(f"{unit.name}: confirmed by a new connection; it stays")
        return "confirmed"
    if reverted is not None and reverted.wish == name:
        if reverted.told:
            return None
        confirmation.keep(store, unit.name, known._replace(reverted=reverted._replace(told=True)))
        raise NotConfirmed(_why(transactions.host, unit, reverted))
    there = record is not None and known.confirmed is not None and known.confirmed.wish == name
    return "unchanged" if there else None


def _why(host: Host, unit: Unit, reverted: Reverted) -> str:
    meanwhile = "before the host was restarted" if reverted.rebooted else f"within {reverted.seconds} s"
    ended = calendar.timegm(time.strptime(reverted.at, AT))
    reason = unit.unconfirmed(host, client_address(ssh_connection()), ended - reverted.seconds - SLACK, ended + SLACK)
    return (
        f"{unit.name}: what was in force before the change came back at {reverted.at}, since no new connection reached "
        f"the host {meanwhile}. {reason}; if it was the network, 'pulumi up' again: it tries the same once more"
    )


def revert_all(transactions: Transactions, named: Callable[[str], Unit]) -> Dict[str, Any]:
    """Wait until the trials on this host have ended, and take back what nobody has confirmed; returns the report."""
    reverted: List[str] = []
    notes: List[str] = []
    for name in sorted(transactions.store.with_confirmation()):
        unit = named(name)
        while True:
            if revert(transactions, unit):
                reverted.append(name)
            trial = confirmation.load(transactions.store, name).trial
            if trial is None:
                break
            time.sleep(trial.left)
        notes += unit.notes
    return {"result": "reverted" if reverted else "unchanged", "units": reverted, "notes": notes}


def revert(transactions: Transactions, unit: Unit) -> bool:
    """Take back what is on trial and whose time is over; whether there was such."""
    with transactions.locked(unit) as record:
        known = confirmation.load(transactions.store, unit.name)
        if known.trial is not None and known.trial.left:
            return False
        if known.trial is None:
            RevertTimer(transactions.host, unit.name).disarm()
            return False
        return _take_back(transactions, unit, record, known)


def _take_back(
    transactions: Transactions, unit: Unit, record: Optional[Record], known: Confirmation, *, told: bool = False
) -> bool:
    """Put back what is on trial, under the lock; whether it was in force. `told`: whoever asked hears of it now."""
    host, store = transactions.host, transactions.store
    trial, confirmed = known.trial, known.confirmed
    assert trial is not None
    if record is not None and (confirmed is None or record.transaction != confirmed.record.transaction):
        known = known._replace(reverted=_reverted(trial, told))  # before, since a kill may come between
        confirmation.keep(store, unit.name, known)
        planner = Planner(host, unit, record)
        if confirmed:
            plan = planner.back_to(confirmed.record._replace(owner=record.owner), confirmed.files)
        else:
            plan = planner.remove()
        transactions.carry_out(unit, plan, planner.missing_folders(plan.change), new_transaction())
        transactions.on_step("reverted")
        now = store.record(unit.name)
        confirmed = confirmed._replace(record=now) if confirmed and now else None
        if not told:
            unit.notes.append(
                f"{unit.name}: not confirmed within {trial.seconds} s; what was in force before is so again"
            )
    confirmation.keep(store, unit.name, Confirmation(confirmed, None, known.reverted))
    RevertTimer(host, unit.name).disarm()
    return known.reverted is not None


def _reverted(trial: Trial, told: bool) -> Reverted:
    return Reverted(trial.wish, trial.seconds, time.strftime(AT, time.gmtime()), trial.rebooted, told)
