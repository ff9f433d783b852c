"""What somebody has changed of what is ours, and what a running program shows other than its files say.

Reads, never writes. What others have in our files is theirs and no drift, nor is a change of our own that is under way.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional

from hostctl.difference import Difference
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.host import Host
from hostctl.masking import masked_value
from hostctl.recovery import is_committed
from hostctl.store import Owned, Record, Store
from hostctl.transaction import same_owner
from hostctl.unit import Change, Unit

PATIENCE = 5.0
"""Seconds that another hostctl has to end; asking again later is better than holding up who asks many hosts."""
GONE = "the file is gone"
INTERRUPTED = "a change was interrupted; the next one finishes it"


def drift(host: Host, owner: str, names: Iterable[str], named: Callable[[str], Unit]) -> Dict[str, Any]:
    """The report on those of the units that have a record of this owner, each with what has drifted.

    For each path: `keys` (each: key, wanted, found), `text` where a file of ours has another content (null: it is
    gone), `why` where a shared file can't be judged key by key. `live`: what the running program shows instead.
    Raises HostError where another hostctl stays at work for `PATIENCE` seconds.
    """
    store = Store(host)
    there = store.units()
    found: Dict[str, Any] = {}
    if there:
        with store.lock(PATIENCE):
            for name in names:
                record = store.record(name) if name in there else None
                if record is not None and same_owner(owner, record.owner):
                    found[name] = _of_unit(host, store, named(name), record)
    return {"result": "observed", "units": found}


def _of_unit(host: Host, store: Store, unit: Unit, record: Record) -> Dict[str, Any]:
    journal = store.journal(unit.name)
    if journal is not None and not is_committed(record, journal):
        return {"files": {}, "live": INTERRUPTED}
    states = {path: None if host.is_gone(path) else host.read(path) for path in record.files}
    drifted = {path: _of_file(unit, path, states[path], owned) for path, owned in record.files.items()}
    drifted = {path: each for path, each in drifted.items() if each}
    if any("text" in each or record.files[path].ours is not None for path, each in drifted.items()):
        # The program is compared with the files, which say something else themselves.
        return {"files": drifted}
    change = Change(states, states, None, record.facts, record.facts)
    live = unit.live(host, change, {path: owned.ours for path, owned in record.files.items() if owned.ours is not None})
    return {"files": drifted, **({"live": live} if live else {})}


def _of_file(unit: Unit, path: str, state: Optional[FileState], owned: Owned) -> Dict[str, Any]:
    """What has drifted in one file; empty where nothing has."""
    same = state is not None and state.digest == owned.written
    if owned.ours is not None:
        # Reading TOML takes longer than all the rest.
        return {} if same else _of_shared_file(unit, path, state, owned.ours)
    if state is None:
        return {"keys": [], "text": None}
    changed = {} if same else {"text": unit.shown(path, state.content)}
    rights = [
        Difference(key, wanted, found)
        for key, wanted, found in zip(("mode", "owner"), owned.rights or state.rights, state.rights)
        if wanted != found
    ]
    return {"keys": _shown(rights), **changed} if rights or changed else {}


def _of_shared_file(unit: Unit, path: str, state: Optional[FileState], ours: Dict[str, Any]) -> Dict[str, Any]:
    try:
        differences = unit.drift(path, b"" if state is None else state.content, ours)
    except HostError as unreadable:
        return {"keys": [], "why": str(unreadable)}
    if not differences:
        return {}
    return {"keys": _shown(differences), **({"why": GONE} if state is None else {})}


def _shown(differences: Iterable[Difference]) -> List[Dict[str, Any]]:
    return [
        {"key": key, "wanted": masked_value(key, wanted), "found": masked_value(key, found)}
        for key, wanted, found in differences
    ]
