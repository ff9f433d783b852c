"""From a wish and what is on the host to a change that is ready to be carried out. Reads, never writes."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from hostctl.files import FileState
from hostctl.host import Host
from hostctl.store import Owned, Record
from hostctl.unit import HEADER, Change, Files, OwnFile, SharedFile, Unit, Wish

KEPT_SUFFIX = ".http-registry-kept"
"""Where the hand-made changes to a file of ours are put aside."""


class Plan(NamedTuple):
    """A change that is ready to be carried out, with the record to keep afterwards (None: forget the unit)."""

    change: Change
    record: Optional[Record]
    known: Record
    notes: List[str]
    put_aside: Dict[str, str]


class Planner:
    """Makes the plan of one unit on one host, given the unit's record."""

    def __init__(self, host: Host, unit: Unit, record: Optional[Record]) -> None:
        self.host = host
        self.unit = unit
        self.record = record or Record()
        self.before: Dict[str, Optional[FileState]] = {}
        self.after: Dict[str, Optional[FileState]] = {}
        self.notes: List[str] = []
        self.put_aside: Dict[str, str] = {}

    def apply(self, wish: Wish) -> Plan:
        """The plan that makes the wish so."""
        owned: Dict[str, Owned] = {}
        shared_files = [(each, self._base(each)) for each in self.unit.shared_files(self.host, wish)]
        stand_ins = [own for shared, base in shared_files for own in shared.stand_ins(base.content if base else None)]
        for own in self.unit.own_files(self.host, wish) + stand_ins:
            if own.path not in self.record.files and _is_spared(own, shared_files):
                self._read(own.path)
                continue
            current = self._read(own.path)
            known = self.record.files.get(own.path)
            said = self._said_already(own, current)
            state = said or own.state
            self.after[own.path] = state
            before = _theirs(current, known) if said else known.before if known else _foreign(current)
            owned[own.path] = Owned(before, state.digest, rights=state.rights)
            if known is None and said:
                self.notes.append(f"{own.path}: somebody's own file says it already; it stays as it is")
            self._note_overwritten(own.path, current, known, state)
        for shared, base in shared_files:
            text, ours = self._merged_before(shared) or shared.merge(base.content if base else None)
            if self._made(shared.path):
                ours = {**ours, "created": True}
            state = shared.state(base or self._made_over(shared.path)).with_content(text)
            self.after[shared.path] = state
            kept = base is not None and base.rights == state.rights
            owned[shared.path] = Owned(base, state.digest, ours, None if kept else state.rights)
        for path in self.record.files.keys() - owned.keys():
            self._restore(path, self.record.files[path])
        facts = self.unit.facts(self.host, wish, self.record.facts)
        change = Change(self.before, self.after, wish, self.record.facts, facts)
        new = [each for each in self.missing_folders(change) if each not in self.record.folders]
        record = Record(owned, [*self.record.folders, *new], facts, self.record.transaction)
        return Plan(change, record, self.record, self.notes, self.put_aside)

    def remove(self) -> Plan:
        """The plan that puts back what was there before the unit's first apply."""
        for path, known in self.record.files.items():
            self._restore(path, known)
        change = Change(self.before, self.after, None, self.record.facts, {})
        return Plan(change, None, self.record, self.notes, self.put_aside)

    def back_to(self, record: Record, contents: Files) -> Plan:
        """The plan that puts an earlier record in force again, whose files had these contents.

        In a shared file what others have changed since stays.
        """
        owned = dict(record.files)
        for path, state in contents.items():
            current, known, ours = self._read(path), self.record.files.get(path), owned[path].ours
            if ours is not None:
                base = self._without_us(path, current, known)
                text = self.unit.rejoin(path, base.content if base else None, ours)
                state = (base or state or FileState(b"", 0o600)).with_content(text)
                owned[path] = owned[path]._replace(before=base, written=state.digest)
            else:
                self._note_overwritten(path, current, known, state)
            self.after[path] = state
        for path in self.record.files.keys() - contents.keys():
            self._restore(path, self.record.files[path])
        change = Change(self.before, self.after, None, self.record.facts, record.facts)
        return Plan(change, record._replace(files=owned), self.record, self.notes, self.put_aside)

    def missing_folders(self, change: Change) -> List[str]:
        """The folders that have to be made for the change's files, outermost first."""
        needed = {each for path, state in change.after.items() if state for each in self.host.folders(path)}
        return sorted(each for each in needed if not self.host.path(each).exists())

    def _said_already(self, own: OwnFile, current: Optional[FileState]) -> Optional[FileState]:
        """The file of somebody else that is there, where it says what ours would; read by no more people than ours."""
        if _foreign(current) is None or current is None:
            return None
        if not self.unit.says(own.path, current.content, own.state.content):
            return None
        return current._replace(mode=current.mode & own.state.mode)

    def _merged_before(self, shared: SharedFile) -> Optional[Tuple[bytes, Dict[str, Any]]]:
        """The text and what of it is ours, where the file is as an earlier merge for the same has left it."""
        current, known = self.before[shared.path], self.record.files.get(shared.path)
        if current is None or known is None or known.ours is None or current.digest != known.written:
            return None
        return (current.content, known.ours) if shared.repeats(known.ours) else None

    def _made(self, path: str) -> bool:
        """Whether a shared file is there because of us, also where somebody has written in it since: once nobody has
        anything in it any more, it goes."""
        known = self.record.files.get(path)
        return bool(known and known.ours and known.ours.get("created"))

    def _made_over(self, path: str) -> Optional[FileState]:
        """A shared file that we made, where somebody has given it a mode or owner of their own since."""
        current, known = self.before[path], self.record.files.get(path)
        return None if current and known and known.rights == current.rights else current

    def _base(self, shared: SharedFile) -> Optional[FileState]:
        """A shared file as it is without us."""
        base = self._without_us(shared.path, self._read(shared.path), self.record.files.get(shared.path))
        return base and shared.foreign(base)

    def _read(self, path: str) -> Optional[FileState]:
        self.before[path] = self.host.read(path)
        return self.before[path]

    def _restore(self, path: str, known: Owned) -> None:
        if self.host.is_gone(path):
            self.notes.append(f"{path}: the account is gone; nothing was put back")
            return
        current = self._read(path)
        if known.ours is not None:
            self.after[path] = self._without_us(path, current, known)
        elif current is not None and current.digest != known.written and _foreign(current):
            self.after[path] = current
            self.notes.append(f"{path}: somebody has put a file of their own here since; it stays")
        else:
            self.after[path] = known.before
            self._note_overwritten(path, current, known, known.before)

    def _note_overwritten(
        self, path: str, current: Optional[FileState], known: Optional[Owned], coming: Optional[FileState]
    ) -> None:
        if current is None or (coming is not None and current.content == coming.content):
            return
        untouched = known is None or (known.is_theirs and current.digest == known.written)
        if untouched and _foreign(current):
            self.notes.append(f"{path}: there was a file of somebody else; it comes back when this is removed")
        elif known is None or current.digest != known.written:
            self.put_aside[path] = self._free_name(path)
            self.notes.append(f"{path}: was changed by hand since; that version is kept as {self.put_aside[path]}")

    def _free_name(self, path: str) -> str:
        name, number = path + KEPT_SUFFIX, 1
        while self.host.path(name).exists():
            number += 1
            name = f"{path}{KEPT_SUFFIX}-{number}"
        return name

    def _without_us(self, path: str, current: Optional[FileState], known: Optional[Owned]) -> Optional[FileState]:
        if known is None or current is None:
            return current
        if known.before and current.rights == known.rights:
            current = current._replace(mode=known.before.mode)
        if current.digest == known.written:
            return current.with_content(known.before.content) if known.before else None
        assert known.ours is not None
        text, notes = self.unit.unmerge(path, current.content, known.ours)
        self.notes += notes
        return None if text is None else current.with_content(text)


def _is_spared(own: OwnFile, shared: Sequence[Tuple[SharedFile, Optional[FileState]]]) -> bool:
    return any(each.spares(base.content if base else None, own) for each, base in shared)


def _theirs(current: Optional[FileState], known: Optional[Owned]) -> Optional[FileState]:
    """A file of theirs as they would have it back: with the mode that it had before us."""
    there = known.before if known and known.is_theirs else None
    return current._replace(mode=there.mode) if current and there else current


def _foreign(state: Optional[FileState]) -> Optional[FileState]:
    """The file if it is somebody else's: a file that carries our header is ours even where its record is lost."""
    return None if state is None or HEADER.encode() in state.content else state
