"""What hostctl keeps on the host: the lock, a journal while a transaction runs, a record for each unit."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, TypeVar

from hostctl import files
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.host import Host
from hostctl.journal import Journal

STATE_FOLDER = "/var/lib/http-registry"
KINDS = ("units", "journal", "confirmation")
Kept = TypeVar("Kept")


def mark(owner: str) -> str:
    """The file below `owners` of one who shares the host with others of his stack, who may have no unit there."""
    return owner.replace("/", ".")


class Owned(NamedTuple):
    """What we know of one file that we write.

    `before`: the file without us. `written`: digest of what we wrote. `ours`: for a shared file, what in it is ours,
    in the form that the unit's merge gives and takes; None for a file that is ours alone. `rights`: for such a file,
    and for a shared one whose mode is not the one that it had, the mode and owner that we gave it; None in records of
    an earlier hostctl.
    """

    before: Optional[FileState]
    written: str
    ours: Optional[Dict[str, Any]] = None
    rights: Optional[List[str]] = None

    @property
    def is_theirs(self) -> bool:
        """Whether a file that could be ours alone is still somebody else's, who says in it what we would."""
        return self.ours is None and self.before is not None and self.before.digest == self.written

    def to_json(self) -> Dict[str, Any]:
        """A form that `from_json` reads back."""
        return {
            "before": self.before.to_json() if self.before else None,
            "written": self.written,
            "ours": self.ours,
            "rights": self.rights,
        }

    @staticmethod
    def from_json(data: Dict[str, Any]) -> Owned:
        """Read what `to_json` wrote."""
        return Owned(FileState.from_json(data["before"]), data["written"], data["ours"], data.get("rights"))


class Record(NamedTuple):
    """What one unit owns on this host.

    `facts` is the unit's own (for example: we started the service). `owner`: who asked for it, `project/stack/host`;
    empty where nobody said.
    """

    files: Mapping[str, Owned] = {}
    folders: Sequence[str] = ()
    facts: Mapping[str, Any] = {}
    transaction: str = ""
    owner: str = ""

    def to_json(self) -> Dict[str, Any]:
        """A form that `from_json` reads back."""
        return {
            "files": {path: owned.to_json() for path, owned in self.files.items()},
            "folders": self.folders,
            "facts": self.facts,
            "transaction": self.transaction,
            "owner": self.owner,
        }

    @staticmethod
    def from_json(data: Dict[str, Any]) -> Record:
        """Read what `to_json` wrote."""
        return Record(
            {path: Owned.from_json(owned) for path, owned in data["files"].items()},
            data["folders"],
            data["facts"],
            data["transaction"],
            data.get("owner", ""),
        )


class Store:
    """The folder /var/lib/http-registry: root only, since records hold earlier contents of configuration files."""

    def __init__(self, host: Host) -> None:
        self.folder = host.path(STATE_FOLDER)

    @contextmanager
    def lock(self, patience: float = 300) -> Iterator[None]:
        """Hold the host's lock; wait for another hostctl up to `patience` seconds, then raise HostError."""
        self._make_folder(self.folder)
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + patience
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as taken:
                    if time.monotonic() > deadline:
                        raise HostError(
                            f"another hostctl has been at work on this host for {patience:g} s; "
                            "look at it with 'ps -C python3 -f' and try again when it has ended"
                        ) from taken
                    time.sleep(0.05)
            yield
        finally:
            os.close(handle)

    def record(self, unit: str) -> Optional[Record]:
        """The unit's record, or None where the unit was never applied or has been removed."""
        return self._read(self._record_path(unit), Record.from_json)

    def keep(self, unit: str, record: Optional[Record]) -> None:
        """Replace the unit's record; None forgets it."""
        self._replace(self._record_path(unit), None if record is None else record.to_json())

    def units(self) -> Set[str]:
        """The units that have a record, or a journal of an interrupted change, or one that waits for confirmation."""
        return {file.stem for kind in KINDS for file in (self.folder / kind).glob("[!.]*.json")}

    def move_out(self, owner: str) -> bool:
        """Forget that this owner shares the host; returns whether nobody else does."""
        folder = self.folder / "owners"
        if owner and (folder / mark(owner)).exists():
            (folder / mark(owner)).unlink()
        return not any(folder.glob("*"))

    def with_confirmation(self) -> Set[str]:
        """The units of which a change has ever waited for its confirmation."""
        return {file.stem for file in (self.folder / "confirmation").glob("[!.]*.json")}

    def vanish(self) -> None:
        """Remove the folder, this program in it included."""
        import shutil  # its archives take a while to load

        shutil.rmtree(self.folder)

    def journal(self, unit: str) -> Optional[Journal]:
        """The journal that an interrupted transaction of the unit left, or None."""
        return self._read(self._journal_path(unit), Journal.from_json)

    def write_journal(self, unit: str, journal: Optional[Journal]) -> None:
        """Replace the unit's journal; None ends the transaction."""
        self._replace(self._journal_path(unit), None if journal is None else journal.to_json())

    def confirmation(self, unit: str) -> Optional[Dict[str, Any]]:
        """What `hostctl.confirmation` knows of the unit, or None."""
        return self._read(self._confirmation_path(unit), dict)

    def keep_confirmation(self, unit: str, data: Optional[Dict[str, Any]]) -> None:
        """Replace it; None forgets it."""
        self._replace(self._confirmation_path(unit), data)

    def _record_path(self, unit: str) -> Path:
        return self.folder / "units" / f"{unit}.json"

    def _journal_path(self, unit: str) -> Path:
        return self.folder / "journal" / f"{unit}.json"

    def _confirmation_path(self, unit: str) -> Path:
        return self.folder / "confirmation" / f"{unit}.json"

    def _replace(self, path: Path, data: Optional[Dict[str, Any]]) -> None:
        if data is None:
            files.write(path, None)
            return
        self._make_folder(path.parent)
        files.write(path, FileState(json.dumps(data, indent=1).encode(), 0o600, os.geteuid(), os.getegid()))

    @staticmethod
    def _read(path: Path, form: Callable[[Dict[str, Any]], Kept]) -> Optional[Kept]:
        state = files.read(path)
        if state is None:
            return None
        try:
            return form(json.loads(state.content))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as broken:
            raise HostError(
                f"{path}: is damaged; put it back from a backup, or move it away and clean up by hand what it owned"
            ) from broken

    @staticmethod
    def _make_folder(folder: Path) -> None:
        files.make_folders(folder)
        folder.chmod(0o700)
