"""One run: look, hold pushes off, remove, let them in again.

Most of the work is done while pushes go on. What is removed then was needed by nobody for a while, but a push that
begins now could use it: so pushes are held off, and links go before blobs. Without its link a blob is unknown to a
repository, and the registry takes no manifest that names it. A manifest that the registry was about to store when its
link went is seen by the look after that, and gets its links back.
"""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, Optional

from garbage_collection.contents import Contents, Dead, Memory, blob_path, find_dead, layer_path, revision_path
from garbage_collection.standby import Standby
from garbage_collection.stores import Store

GATE = "closed"
"""A file of this name in the service's folder below /run tells nginx to hold pushes off. systemd takes the folder away
when the service ends, however it ends."""

LONGEST = 300
"""Seconds that pushes are held off at most."""


class TooLong(Exception):
    """The time in which pushes may be held off is over."""


@dataclass(frozen=True)
class Rules:
    """`untagged`: whether images go that no tag means. `spare`: seconds that what was pushed stays. `standby`: a second
    proxy, which must hold pushes off as well."""

    untagged: bool
    spare: float
    standby: Optional[Standby] = None


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Hold pushes off, for LONGEST at most. Raises TooLong then."""

    def late(*_: object) -> None:
        raise TooLong(f"pushes were held off for {LONGEST} s")

    gate = folder / GATE
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        gate.touch()
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gate.unlink()


def collect(store: Store, rules: Rules, folder: Path, say: Callable[[str], None]) -> None:
    """One run; what a failure leaves goes next time.

    Raises Open, Unreadable, TooLong, or OSError where the storage does not answer.
    """
    since = time.time() - rules.spare
    memory = Memory()

    def look() -> Dead:
        return find_dead(Contents.of(store.listing()), store.read, rules.untagged, since, memory)

    if not look():
        say("nothing to remove")
        return
    with closed(folder):
        began = time.monotonic()
        if rules.standby:
            rules.standby.must_hold()
        time.sleep(store.settle)  # what nginx has let through reaches the registry
        dead = look()
        store.remove(dead.links)
        time.sleep(store.settle)  # what the registry has found whole is stored
        contents = Contents.of(store.listing())
        after = find_dead(contents, store.read, rules.untagged, since, memory)
        _give_back(store, dead, after, say)
        blobs = dead.blobs & after.blobs
        if rules.standby:
            rules.standby.must_hold(still=True)
        store.remove(map(blob_path, blobs))
        seconds = time.monotonic() - began
    freed = sum(contents.sizes[each] for each in blobs)
    say(
        f"removed {dead.revisions} untagged manifests, {len(dead.links) - dead.revisions} other links and {len(blobs)} "
        f"blobs with {freed} bytes; pushes were held off for {seconds:.1f} s"
    )


def _give_back(store: Store, dead: Dead, after: Dead, say: Callable[[str], None]) -> None:
    needed = {path(link) for link in after.used for path in (layer_path, revision_path)}
    for path in sorted(needed & set(dead.links)):
        store.write(path, dead.links[path].encode())
        say(f"{path}: is needed by what was just pushed; it is back")
