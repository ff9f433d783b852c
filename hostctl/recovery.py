"""The way back of a change, from its journal: taken where the change fails, and by the next call where it was cut off.

A journal without its commit mark means that the old state is put back; with it, only cleaning up is left.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional, Sequence

from hostctl import files
from hostctl.errors import HostError, described
from hostctl.files import FileState
from hostctl.host import Host
from hostctl.journal import Journal
from hostctl.store import Record, Store
from hostctl.unit import Change, Unit

VERIFY_PATIENCE = 20.0
"""Seconds that a runtime has, after its activation, to show what was wished."""


class TransactionFailed(HostError):
    """The change was not made; `rolled_back` says whether the host is as it was."""

    def __init__(self, reason: str, rolled_back: bool) -> None:
        super().__init__(reason)
        self.rolled_back = rolled_back


def is_committed(record: Optional[Record], journal: Journal) -> bool:
    """Whether the journal's change was made, so that only cleaning up is left."""
    if journal.keeps_record:
        return record is not None and record.transaction == journal.transaction
    return record is None


class Recovery:
    """Goes back, or cleans up, on one host."""

    def __init__(self, host: Host, store: Store) -> None:
        self.host = host
        self.store = store

    def finish(self, unit: Unit) -> None:
        """Finish what a crash interrupted.

        A runtime that does not come back is told in a note: the request that follows may well be its remedy.
        """
        journal = self.store.journal(unit.name)
        if journal is None:
            return
        if self.committed(unit, journal):
            self.close(unit, journal)
            unit.notes.append("an earlier change had been completed but not closed; closed it")
            return
        unit.notes.append("an earlier change was interrupted; the state before it was put back first")
        try:
            back = self._put_files_back(unit, journal)
            try:
                self._reactivate(unit, journal, back)
            except HostError as silent:
                unit.notes.append(f"after that: {silent}")
            self._end(unit, journal)
        except OSError as failure:
            raise TransactionFailed(
                f"an earlier change was interrupted and can't be taken back: {described(failure)}", False
            ) from failure

    def go_back(self, unit: Unit, journal: Journal, failure: BaseException) -> TransactionFailed:
        """Take back a change that failed; returns what is to be raised."""
        reason = described(failure)
        try:
            back = self._put_files_back(unit, journal)
            self._reactivate(unit, journal, back)
            self._end(unit, journal)
        except Exception as worse:
            return TransactionFailed(
                f"{reason}. Going back failed as well: {described(worse)}. The next hostctl call tries again",
                False,
            )
        return TransactionFailed(reason, True)

    def close(self, unit: Unit, journal: Journal) -> None:
        """Clean up behind a committed change."""
        if not journal.keeps_record:
            try:
                unit.forget(self.host, journal.facts_before)
            except HostError as left:
                unit.notes.append(f"not everything could be cleaned up: {left}")
        self._remove_empty(journal.obsolete)
        self.store.write_journal(unit.name, None)

    def committed(self, unit: Unit, journal: Journal) -> bool:
        """Whether the unit's record already says that the change was made."""
        return is_committed(self.store.record(unit.name), journal)

    def make_live(self, unit: Unit, change: Change, level: str) -> None:
        """Write a stage on the way, activate and verify it."""
        self._write(change)
        unit.activate(self.host, change, level)
        unit.verify(self.host, change, VERIFY_PATIENCE)

    def _write(self, change: Change) -> None:
        for path, state in change.after.items():
            with self.host.rights(path):
                real = self.host.path(path)
                if files.read(real) != state:
                    files.write(real, state)

    def _put_files_back(self, unit: Unit, journal: Journal) -> Change:
        """Restore the files of the journal's old state, without touching what somebody wrote there since."""
        target: Dict[str, Optional[FileState]] = {}
        for path, before in journal.before.items():
            if self.host.is_gone(path):
                continue
            with self.host.rights(path):
                real = self.host.path(path)
                files.sweep(real)
                current = files.read(real)
            if journal.left(path, current):
                target[path] = before
            else:
                target[path] = self._without_ours(unit, path, current, journal.ours[path])
        for path in journal.put_aside.values():
            files.write(self.host.path(path), None)
        return Change(journal.after, target, None, journal.facts, journal.facts_before, back=True)

    @staticmethod
    def _without_ours(
        unit: Unit, path: str, current: Optional[FileState], ours: Optional[Dict[str, Any]]
    ) -> Optional[FileState]:
        unit.notes.append(f"{path}: somebody changed it after the interruption; their version stays")
        if ours is None or current is None:
            return current
        try:
            text, notes = unit.unmerge(path, current.content, ours)
        except HostError:
            return current
        unit.notes += notes
        return None if text is None else current.with_content(text)

    def _reactivate(self, unit: Unit, journal: Journal, back: Change) -> None:
        if not journal.swapping:
            return
        try:
            for stage in unit.stages(self.host, back, journal.level):
                self.make_live(unit, stage, journal.level)
        finally:
            self._write(back)
        unit.activate(self.host, back, journal.level)
        unit.verify(self.host, back, VERIFY_PATIENCE)

    def _end(self, unit: Unit, journal: Journal) -> None:
        self._remove_empty(journal.created)
        self.store.write_journal(unit.name, None)

    def _remove_empty(self, folders: Sequence[str]) -> None:
        for folder in sorted(folders, key=len, reverse=True):
            if not self.host.is_gone(folder):
                place = Path(folder)
                with self.host.rights(folder):  # what has become a link since is not ours
                    files.remove_empty_folders([str(self.host.path(str(place.parent)) / place.name)])
