"""Our keys in Docker's daemon.json: put in, taken out, and nothing else in the file moved. Pure text work.

The text is edited in place, so that foreign keys keep their bytes. Sources: keys and types are those of
docker/cli's docs/reference/dockerd.md; dockerd matches key names exactly and refuses a file that is not JSON.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from hostctl.json_text import JsonText

PATH = "/etc/docker/daemon.json"
MIRRORS, INSECURE, DOWNLOADS = "registry-mirrors", "insecure-registries", "max-concurrent-downloads"
NEW_FILE = b"{}\n"


class Wanted(NamedTuple):
    """What we want in daemon.json; an empty list and None want nothing."""

    mirrors: Tuple[str, ...] = ()
    insecure: Tuple[str, ...] = ()
    downloads: Optional[int] = None

    @property
    def lists(self) -> Dict[str, List[str]]:
        """The wanted items of the keys that hold lists, without doubles."""
        wanted = {MIRRORS: self.mirrors, INSECURE: self.insecure}
        return {key: _distinct(items) for key, items in wanted.items() if items}


def same_item(item: str) -> str:
    """The form in which items are compared: dockerd ends every mirror with a slash."""
    return item.rstrip("/")


def merge(base: Optional[bytes], wanted: Wanted) -> Tuple[bytes, Dict[str, Any]]:
    """The base with our items first and our number set, and what of it is ours. Raises HostError for a bad base."""
    document = JsonText(PATH, base or NEW_FILE)
    ours: Dict[str, Any] = {"created": base is None, "lists": {}, "numbers": {}}
    for key in (MIRRORS, INSECURE):
        there = _list(document, key)
        items = wanted.lists.get(key)
        if items is None:
            continue
        taken = {same_item(each) for each in items}
        known = {same_item(each) for each in there or []}
        ours["lists"][key] = {
            "added": [each for each in items if same_item(each) not in known],
            "before": there,
        }
        document.set(key, items + [each for each in there or [] if same_item(each) not in taken])
    before = _number(document, DOWNLOADS)
    if wanted.downloads is not None:
        ours["numbers"][DOWNLOADS] = {"set": wanted.downloads, "before": before}
        document.set(DOWNLOADS, wanted.downloads)
    return document.encoded(), ours


def unmerge(current: bytes, ours: Dict[str, Any]) -> Tuple[Optional[bytes], List[str]]:
    """The current text without us (None: no file), and sentences about what somebody changed since."""
    document = JsonText(PATH, current or NEW_FILE)
    notes: List[str] = []
    for key, mine in ours["lists"].items():
        there = _list(document, key)
        present = {same_item(each) for each in there or []}
        gone = [each for each in mine["added"] if same_item(each) not in present]
        if gone:
            notes.append(f"{PATH}: somebody has taken {', '.join(gone)} out of {key} since")
        if there is not None:
            added = {same_item(each) for each in mine["added"]}
            _put_back(document, key, [each for each in there if same_item(each) not in added], mine["before"])
    for key, mine in ours["numbers"].items():
        value = _number(document, key)
        if value != mine["set"]:
            notes.append(f"{PATH}: somebody has changed {key} from {mine['set']} to {value} since; theirs stays")
        elif mine["before"] is None:
            document.delete(key)
        else:
            document.set(key, mine["before"])
    return (None if ours["created"] and not document.keys else document.encoded()), notes


def values(text: Optional[bytes]) -> Dict[str, Any]:
    """The document; empty where there is no file. Raises HostError where it can't be read."""
    return JsonText(PATH, text or NEW_FILE).values


def with_empty_lists(text: Optional[bytes], keys: List[str]) -> bytes:
    """The text with those keys, which it lacks, as empty lists."""
    document = JsonText(PATH, text or NEW_FILE)
    for key in keys:
        document.set(key, [])
    return document.encoded()


def _put_back(document: JsonText, key: str, rest: List[str], before: Optional[List[str]]) -> None:
    if before is not None and {same_item(each) for each in rest} == {same_item(each) for each in before}:
        document.set(key, before)
    elif rest or before is not None:
        document.set(key, rest)
    else:
        document.delete(key)


def _list(document: JsonText, key: str) -> Optional[List[str]]:
    value = document.values.get(key)
    if key in document.keys and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise document.error(key, "must be a list of strings")
    return value


def _number(document: JsonText, key: str) -> Optional[int]:
    value = document.values.get(key)
    if key in document.keys and (isinstance(value, bool) or not isinstance(value, int)):
        raise document.error(key, "must be a whole number")
    return value


def _distinct(items: Tuple[str, ...]) -> List[str]:
    return list({same_item(each): each for each in reversed(items)}.values())[::-1]
