"""What a transaction writes down before it touches anything, so that the next call can go back."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from hostctl.files import FileState
from hostctl.unit import NONE, Change, Files


class Journal(NamedTuple):
    """One transaction on its way.

    `ours`: for the shared files, what in the coming text is ours. `keeps_record`: whether the commit is a new record
    (apply) or a record forgotten (remove). `created`: folders that this change makes. `obsolete`: folders that the
    unit made earlier and that go at the commit if they are empty. `put_aside`: where hand-made changes are kept.
    `transit`: digests of texts that are live for a moment only. `swapping`: whether live files may have changed.
    """

    transaction: str
    before: Files
    after: Files
    facts_before: Mapping[str, Any]
    facts: Mapping[str, Any]
    ours: Mapping[str, Optional[Dict[str, Any]]]
    keeps_record: bool
    created: List[str]
    obsolete: Sequence[str]
    put_aside: Dict[str, str]
    transit: Sequence[str] = ()
    swapping: bool = False
    level: str = NONE

    def at_swap(self, level: str, stages: List[Change]) -> Journal:
        """The journal from the moment on at which live files may change."""
        transit = [state.digest for stage in stages for state in stage.after.values() if state is not None]
        return self._replace(swapping=True, level=level, transit=transit)

    def left(self, path: str, current: Optional[FileState]) -> bool:
        """Whether the transaction itself may have left `path` so; if not, somebody else has been there since."""
        ends = (self.before[path], self.after[path])
        if current is None:
            return None in ends
        return current.digest in [*self.transit, *(state.digest for state in ends if state is not None)]

    def to_json(self) -> Dict[str, Any]:
        """A form that `from_json` reads back."""
        return {**self._asdict(), "before": _files_to_json(self.before), "after": _files_to_json(self.after)}

    @staticmethod
    def from_json(data: Dict[str, Any]) -> Journal:
        """Read what `to_json` wrote."""
        ends = {
            end: {path: FileState.from_json(each) for path, each in data[end].items()} for end in ("before", "after")
        }
        return Journal(**{**data, **ends})


def _files_to_json(files: Files) -> Dict[str, Any]:
    return {path: state.to_json() if state else None for path, state in files.items()}
