"""What a unit is: one thing on a host that hostctl can apply, remove and observe."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Mapping, NamedTuple, Optional, Tuple

from hostctl.difference import Difference
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.first_boot import FirstBoot
from hostctl.foresight import Foresight
from hostctl.host import Host
from hostctl.masking import masked

HEADER = "Managed by http-registry: a change by hand is put aside when the stack changes this file."
"""The first line, behind a comment sign, of every file that is ours alone."""

NONE, RELOAD, RESTART = "none", "reload", "restart"

Files = Mapping[str, Optional[FileState]]
Wish = Dict[str, Any]


class OwnFile(NamedTuple):
    """A file that is ours alone, wanted with this content."""

    path: str
    state: FileState


class SharedFile(ABC):
    """A file in which others have their own keys. `path` is where; the text is bytes, absence is None."""

    path: str

    @abstractmethod
    def merge(self, base: Optional[bytes]) -> Tuple[bytes, Dict[str, Any]]:
        """Put the wish into `base`. Returns the new text and what in it is ours, for `Unit.unmerge`.

        Raises HostError where the base can't be read or holds something that contradicts the wish.
        """

    def repeats(self, ours: Mapping[str, Any]) -> bool:
        """Whether an earlier merge, which gave `ours`, has asked for the same: then its text need not be made again."""
        return False

    def state(self, there: Optional[FileState]) -> FileState:
        """The mode and owner that the file gets; its content does not count."""
        return there or FileState(b"")

    def foreign(self, base: FileState) -> FileState:
        """What of `base` is somebody else's: without what is ours there although no record says so."""
        return base

    def spares(self, base: Optional[bytes], own: OwnFile) -> bool:
        """Whether `base` says already what a file of ours would, so that there is to be none."""
        return False

    def stand_ins(self, base: Optional[bytes]) -> List[OwnFile]:
        """Files of ours that say what `merge` takes out of `base`."""
        return []


class Change(NamedTuple):
    """A transaction's two ends. `facts` are the unit's own notes for its record, `wish` is None when it goes away."""

    before: Files
    after: Files
    wish: Optional[Wish] = None
    facts_before: Mapping[str, Any] = {}
    facts: Mapping[str, Any] = {}
    back: bool = False
    """Whether this takes back a change that failed, so that `before` may never have been live."""

    @property
    def changed(self) -> List[str]:
        """The paths whose content, mode or owner differ between the ends."""
        return [path for path in self.after if self.before.get(path) != self.after[path]]

    @property
    def reverse(self) -> Change:
        """The way back."""
        return Change(self.after, self.before, None, self.facts, self.facts_before, back=not self.back)

    def text(self, path: str) -> Optional[bytes]:
        """The coming content of a file, or None."""
        state = self.after.get(path)
        return None if state is None else state.content


class Unit(ABC):
    """One kind of thing that a request can name. Every method may raise HostError; none prints."""

    name: ClassVar[str]
    lets_us_in: ClassVar[bool] = False
    """Whether the next connection may need it: the last of ours on a host is left for `remove-all` to remove."""

    def __init__(self) -> None:
        self.notes: List[str] = []
        """Sentences for the report, gathered on the way."""

    def preflight(self, host: Host, wish: Wish) -> None:
        """Refuse, before anything is touched, a host or a wish that can't work."""

    def confirm_seconds(self, wish: Wish) -> Optional[int]:
        """How long the wish is in force before it is taken back, unless another connection confirms it; None: for good.

        A unit that says so for shared files can `rejoin` them.
        """
        return None

    def doubt(self, host: Host, wish: Wish) -> str:
        """Why the connection that confirms the wish proves nothing, which takes it back; empty where it proves it."""
        return ""

    def unconfirmed(self, host: Host, client: str, since: float, until: float) -> str:
        """Why nobody has confirmed a trial that lasted from `since` to `until` (seconds since 1970), and the remedy.

        `client`: where the admin comes from, empty at the console.
        """
        return f"If the change shuts you out{f', who come from {client}' if client else ''}, mend the settings"

    def confirmed(self, wish: Wish) -> Dict[str, Any]:
        """What the report of a confirmation says besides."""
        return {}

    @abstractmethod
    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """The wanted files that are ours alone."""

    def says(self, path: str, found: bytes, wanted: bytes) -> bool:
        """Whether a file of somebody else says already what ours would: then it stays as it is. Pure."""
        return False

    def shared_files(self, host: Host, wish: Wish) -> List[SharedFile]:
        """The files to merge the wish into."""
        return []

    def unmerge(self, path: str, current: bytes, ours: Dict[str, Any]) -> Tuple[Optional[bytes], List[str]]:
        """Take what is ours out of a shared file that somebody changed since.

        Returns the rest (None: no file) and notes. What was ours and has been changed since stays, and a note says so.
        """
        raise NotImplementedError

    def rejoin(self, path: str, base: Optional[bytes], ours: Dict[str, Any]) -> bytes:
        """Put what was ours at an earlier time into a shared file as it is without us now."""
        raise NotImplementedError

    def drift(self, path: str, current: bytes, ours: Dict[str, Any]) -> List[Difference]:
        """What of ours in a shared file is no longer as we wrote it; all else in the file is not ours to judge.

        `current` is empty where the file is gone. Raises HostError where it can't be read.
        """
        raise NotImplementedError

    def facts(self, host: Host, wish: Wish, before: Mapping[str, Any]) -> Dict[str, Any]:
        """What the record must remember for `activate` and `forget`, given what it remembers already."""
        return dict(before)

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """Ask the program that will read the candidates (path on the host -> file beside it) to accept them."""

    @abstractmethod
    def activation(self, host: Host, change: Change) -> str:
        """The gentlest way that makes this change live: NONE, RELOAD or RESTART."""

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """What `activation` will say, and what that means, for a preview. Pure: no host is asked.

        `change`: its files are the texts that people see, secrets masked; where none differs, the wish differs in
        what they don't see. `known`: what the state has of the unit, its last report first of all; empty before that.
        """
        return Foresight((NONE, RELOAD, RESTART), "what is reloaded or restarted, the host decides")

    def stages(self, host: Host, change: Change, level: str) -> List[Change]:
        """Changes that are made live and verified, in order, before `change` is.

        For a runtime that can't be taken from one end to the other in a single step.
        """
        return []

    @abstractmethod
    def activate(self, host: Host, change: Change, level: str) -> None:
        """Make the swapped files live."""

    @abstractmethod
    def verify(self, host: Host, change: Change, patience: float) -> None:
        """Ask the running program whether it shows `change.after`; try for `patience` seconds."""

    def live(self, host: Host, change: Change, ours: Mapping[str, Dict[str, Any]]) -> Optional[str]:
        """What the running program shows other than our files say, or None; costs little and changes nothing.

        Both ends of `change` are what is there. `ours`: what in each shared file is ours.
        """
        try:
            self.verify(host, change, 0)
        except HostError as seen:
            return str(seen)
        return None

    def prove(self, host: Host, change: Change) -> None:
        """Have the program do, once, what the wish is for. A failure takes the change back."""

    def forget(self, host: Host, facts: Mapping[str, Any]) -> None:
        """After a committed removal: delete what the program left behind because of us (caches, logs)."""

    def report(self, host: Host, change: Change) -> Dict[str, Any]:
        """What the report says besides; `notes` is a list of sentences."""
        return {}

    def first_boot(self, change: Change) -> FirstBoot:
        """What a machine needs besides, which boots with the files of `change.after` and was never asked. Pure."""
        return FirstBoot()

    def shown(self, path: str, content: bytes) -> str:
        """The content of a file that is ours alone, without secrets."""
        return masked(content.decode(errors="replace"))

    def observe(self, host: Host) -> Dict[str, str]:
        """What is there now, by document name, without secrets."""
        return {}
