"""One unit on this host, taken through faults: what it was, what it is to be, and the judgement after each fault."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostctl import recovery
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.transaction import Transactions
from hostctl.unit import Unit
from hostctl.units import unit_named
from tests.lab.faults.on_host import state
from tests.lab.faults.on_host.moments import AFTER_COMMIT, Watched, die
from tests.lab.faults.on_host.state import PASSING, Seen, in_child, tree, until
from tests.lab.faults.on_host.subjects import SUBJECTS

PATIENCE = 20.0
"""Seconds that a program has to come back."""
Wish = Mapping[str, Any]


class NotSurvived(Exception):
    """After a fault something is not as it must be; the text says what was seen."""


@dataclass(frozen=True)
class Outcome:
    """A fault that was tried. `kind`: the column of the table. `seen`: empty where it was survived."""

    kind: str
    case: str
    seen: str


class Trial:
    """One unit. `told` gets each outcome. `ends` holds what was seen of a wish in force, by the wish's name."""

    def __init__(self, request: Mapping[str, Any], told: Callable[[Outcome], None]) -> None:
        self.name: str = request["unit"]
        self.owner: str = request["owner"]
        self.wishes: dict[str, Any] = {"bare": None, **request["wishes"]}
        self.subject = SUBJECTS[self.name]
        self.told = told
        self.ends: dict[str, Seen] = {}
        self.now = ""
        self.last: Seen | None = None
        """What the last judgement saw, if nothing has happened since."""

    # What is there

    def seen(self) -> Seen:
        """What is on the host now. Raises NotSurvived where the program does not answer."""
        live: list[Any] = []

        def ask() -> str:
            try:
                live[:] = [self.subject.asked({name: wish for name, wish in self.wishes.items() if wish})]
            except (OSError, ValueError) as silent:
                return f"does not answer: {silent}"
            return ""

        if complaint := until(ask, PATIENCE):
            raise NotSurvived(complaint)
        return Seen(tree(self.subject.roots), live[0], state.record(self.name))

    def _look(self) -> Seen:
        self.last = self.seen()
        return self.last

    def expect(self, wanted: Seen, what: str, exact: bool = True) -> None:
        """Raise NotSurvived unless the host is, within a moment, as it must be."""
        if complaint := until(lambda: self._look().other_than(wanted, exact), 3):
            raise NotSurvived(f"{what}: {complaint}")
        if state.journal(self.name) is not None:
            raise NotSurvived(f"{what}: the journal is still there")

    def expect_no_mix(self, old: Seen, new: Seen) -> None:
        """After a kill each file for itself is the old one or the new one, and none is half of either."""
        journal = state.journal(self.name) or {}
        for path, entry in tree(self.subject.roots).items():
            known = {end.files[path].alike for end in (old, new) if path in end.files}
            passing = PASSING.match(Path(path).name) or entry.digest in journal.get("transit", [])
            if entry.kind == "file" and not passing and entry.alike not in known:
                raise NotSurvived(f"{path} is neither the old file nor the new one after the kill")

    # What is asked for

    def ask_for(self, wish: str) -> dict[str, Any]:
        """The report of a transaction, failed or not."""
        return self._report(Transactions(Host(), owner=self.owner), unit_named(self.name), wish)

    def watched(
        self, wish: str, told: Callable[[str], None], refuses: bool = False, patience: float = PATIENCE
    ) -> tuple[int, Any]:
        """The same in a child that something happens to: its exit code, and [its report, the moments that came].

        `patience`: seconds that the program has to show the wish.
        """

        def work() -> Any:
            recovery.VERIFY_PATIENCE = patience
            one = Watched(self.owner, self.name, told, refuses)
            return [self._report(one.transactions, one.unit, wish), one.seen]

        return in_child(work)

    def _report(self, transactions: Transactions, unit: Unit, wish: str) -> dict[str, Any]:
        try:
            if self.wishes[wish] is None:
                return transactions.remove(unit)
            return transactions.apply(unit, self.wishes[wish])
        except (HostError, OSError) as failure:
            return {"result": "failed", "error": str(failure), "rolled_back": getattr(failure, "rolled_back", True)}

    def recover(self, told: Callable[[str], None] | None = None) -> int:
        """What the next call does first; its exit code."""

        def work() -> None:
            one = Watched(self.owner, self.name, told or (lambda _moment: None))
            with one.transactions.store.lock():
                one.transactions.recovery.finish(one.unit)

        code, said = in_child(work)
        if code > 0:
            raise NotSurvived(f"the next call can't go back: {said}")
        return code

    def reach(self, wish: str) -> None:
        """Have a wish in force, and see that asking again changes nothing."""
        self.last = None
        report = self.ask_for(wish)
        if report["result"] == "failed":
            raise NotSurvived(f"the next call for {wish} fails: {report['error']}")
        again = self.ask_for(wish)
        if again["result"] not in ("unchanged", "absent"):
            raise NotSurvived(f"asked for {wish} once more: {again['result']} {again.get('error', again['files'])}")
        if wish not in self.ends:
            time.sleep(0.3)  # old workers of a reloaded nginx may still answer
            self.ends[wish] = self.seen()
        self.now = wish
        self.expect(self.ends[wish], f"{wish} in force", exact=self.wishes[wish] is None)

    # What is judged

    @contextmanager
    def case(self, kind: str, case: str) -> Iterator[None]:
        """One fault: survived where nothing is raised."""
        seen, began = "", time.monotonic()
        try:
            yield
        except NotSurvived as wrong:
            seen = str(wrong)
        except Exception as fault:
            seen = f"the driver fails: {fault!r}"
        if seen:
            self._heal()
        self.told(Outcome(kind, f"{case} [{time.monotonic() - began:.1f} s]", seen))

    def _heal(self) -> None:
        """Whatever a fault that was not survived has left, the next case begins at an end again."""
        self.last = None
        try:
            report = self.ask_for(self.now)
            if report["result"] != "failed":
                self.ends.setdefault(self.now, self.seen())
        except NotSurvived:
            pass

    def after_failure_or_change(self, report: Mapping[str, Any], wish: str, before: Seen) -> None:
        """The old state whole or the new one, whichever the report says; then the wish can be had."""
        if report["result"] == "failed":
            if not report["rolled_back"]:
                self.recover()
            self.expect(before, f"after {report['error'][:150]}")
        else:
            self.expect(self.ends[wish], f"after {report['result']}", exact=False)
            self.now = wish

    def killed(self, kind: str, moment: str, wish: str, then: bool = True, recovering: str = "") -> None:
        """SIGKILL at a moment on the way to a wish, and the next call's first work; `then` the wish, and once more.

        Where not, whoever asks goes on with another kill on the same way, which must come further.
        """
        way = f"{self.now} -> {wish}"
        with self.case(kind, f"{way}: killed at {moment}{f', again at {recovering}' if recovering else ''}"):
            before, self.last = self.last or self.seen(), None
            going_back = kind == "going back"
            code, said = self.watched(wish, lambda now: die() if now == moment else None, going_back)
            if code != -signal.SIGKILL:
                raise NotSurvived(f"the moment never came: {code} {said}")
            self.expect_no_mix(before, self.ends[wish])
            if recovering and self.recover(lambda now: die() if now == recovering else None) != -signal.SIGKILL:
                raise NotSurvived("the second moment never came")
            self.recover()
            if moment in AFTER_COMMIT:
                self.expect(self.ends[wish], "killed after the commit", exact=False)
                self.now = wish
            else:
                self.expect(before, "killed before the commit")
            if then:
                self.reach(wish)

    def moments(self, wish: str, refuses: bool = False) -> list[str]:
        """Those that come on the way to a wish, or on the way back where the program `refuses` it."""
        code, said = self.watched(wish, lambda _now: None, refuses)
        if code != 0:
            raise NotSurvived(f"{self.now} -> {wish}: {said}")
        report, seen = said
        if (report["result"] == "failed") != refuses:
            raise NotSurvived(f"{self.now} -> {wish}: {report}")
        if not refuses:
            self.reach(wish)
        return list(seen)


def foreign_files(roots: tuple[str, ...]) -> list[Path]:
    """A file of somebody else, with an odd mode and owner, in each of the folders that is there."""
    made = []
    for root in filter(os.path.isdir, roots):
        path = Path(root) / "theirs.http-registry-faults"
        path.write_bytes(b"theirs \xff\n")
        os.chown(path, 12345, 23456)
        path.chmod(0o604)
        made.append(path)
    return made
