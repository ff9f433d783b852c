"""Our keys in Docker's daemon.json: put in, taken out, and nothing else in the file moved. Pure text work.

The text is edited in place, so that foreign keys keep their bytes. Sources: keys and types are those of
docker/cli's docs/reference/dockerd.md; dockerd matches key names exactly and refuses a file that is not JSON.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from hostctl.difference import Difference
from hostctl.json_text import JsonText

PATH = "/etc/docker/daemon.json"
MIRRORS, INSECURE = "registry-mirrors", "insecure-registries"
DOWNLOADS, DEBUG = "max-concurrent-downloads", "debug"


class Wanted(NamedTuple):
    """What we want in daemon.json; an empty list and None want nothing.

    `loopback` joins `insecure` where the key is new: what dockerd takes for insecure only while nobody names any.
    """

    mirrors: Tuple[str, ...] = ()
    insecure: Tuple[str, ...] = ()
    downloads: Optional[int] = None
    debug: Optional[bool] = None
    loopback: Tuple[str, ...] = ()

    @property
    def lists(self) -> Dict[str, List[str]]:
        """The wanted items of the keys that hold lists, without doubles."""
        wanted = {MIRRORS: self.mirrors, INSECURE: self.insecure}
        return {key: _distinct(items) for key, items in wanted.items() if items}

    @property
    def values(self) -> Dict[str, Any]:
        """The wanted values of the other keys."""
        wanted = {DOWNLOADS: self.downloads, DEBUG: self.debug}
        return {key: value for key, value in wanted.items() if value is not None}

    @property
    def keys(self) -> List[str]:
        """The keys that we set."""
        return [*self.lists, *self.values]


def same_item(item: str) -> str:
    """The form in which items are compared: dockerd ends every mirror with a slash."""
    return item.rstrip("/")


def merge(base: Optional[bytes], wanted: Wanted) -> Tuple[bytes, Dict[str, Any]]:
    """The base with our items first and our values set, and what of it is ours. Raises HostError for a bad base.

    A list that says so already keeps its bytes.
    """
    document = JsonText(PATH, base)
    ours: Dict[str, Any] = {**document.origin, "lists": {}, "values": {}}
    there = {key: _checked(document, key) for key in (MIRRORS, INSECURE, DOWNLOADS, DEBUG)}
    for key, items in wanted.lists.items():
        before = there[key]
        if key == INSECURE and before is None:
            items = _distinct((*items, *wanted.loopback))
        known = {same_item(each) for each in before or []}
        taken = {same_item(each) for each in items}
        ours["lists"][key] = {
            "wanted": items,
            "added": [each for each in items if same_item(each) not in known],
            "before": before,
            "source": document.source(key),
        }
        if not _says(key, before, items):
            document.set(key, items + [each for each in before or [] if same_item(each) not in taken])
    for key, value in wanted.values.items():
        ours["values"][key] = {"set": value, "before": there[key], "source": document.source(key)}
        document.set(key, value)
    return document.encoded(), ours


def unmerge(current: bytes, ours: Dict[str, Any]) -> Tuple[Optional[bytes], List[str]]:
    """The current text without us (None: no file), and sentences about what somebody changed since."""
    document = JsonText(PATH, current)
    notes: List[str] = []
    for key, mine in ours["lists"].items():
        there = _checked(document, key)
        present = {same_item(each) for each in there or []}
        gone = [each for each in mine["added"] if same_item(each) not in present]
        if gone:
            notes.append(f"{PATH}: somebody has taken {', '.join(gone)} out of {key} since")
        if there is not None:
            added = {same_item(each) for each in mine["added"]}
            _put_list_back(document, key, [each for each in there if same_item(each) not in added], mine)
    # `numbers`: as records of an earlier hostctl call them.
    for key, mine in {**ours.get("numbers", {}), **ours.get("values", {})}.items():
        value = _checked(document, key)
        if value != mine["set"]:
            notes.append(f"{PATH}: somebody has changed {key} from {mine['set']} to {value} since; theirs stays")
        elif mine["before"] is None:
            document.delete(key)
        else:
            _put_back(document, key, mine)
    return document.given_back(ours), notes


def drift(current: bytes, ours: Mapping[str, Any]) -> List[Difference]:
    """Which of our values are others, and which lists lack an item of ours. Raises HostError for a bad text."""
    there = JsonText(PATH, current).values
    found = []
    for key, value in wanted_by(ours).items():
        now = there.get(key)
        if isinstance(value, list) and isinstance(now, list):
            present = [same_item(each) for each in now if isinstance(each, str)]
            kept = all(same_item(each) in present for each in value)
        else:
            kept = now == value
        if not kept:
            found.append(Difference(key, value, now))
    return found


def wanted_by(ours: Mapping[str, Any]) -> Dict[str, Any]:
    """Our values, and our items of each list, from what `merge` calls ours."""
    lists = {key: mine.get("wanted", mine["added"]) for key, mine in ours["lists"].items()}
    return {**lists, **{key: mine["set"] for key, mine in ours.get("values", {}).items()}}


def values(text: Optional[bytes]) -> Dict[str, Any]:
    """The document; empty where there is no file. Raises HostError where it can't be read."""
    return JsonText(PATH, text).values


def with_values(text: Optional[bytes], values: Mapping[str, Any]) -> bytes:
    """The text with those keys, which it lacks, at its end."""
    document = JsonText(PATH, text)
    for key, value in values.items():
        document.set(key, value)
    return document.encoded()


def _says(key: str, before: Optional[List[str]], items: List[str]) -> bool:
    """Whether a list says already what ours would: mirrors are asked in order, the rest has none."""
    there, wanted = ([same_item(each) for each in some or []] for some in (before, items))
    return there[: len(wanted)] == wanted if key == MIRRORS else set(wanted) <= set(there)


def _put_list_back(document: JsonText, key: str, rest: List[str], mine: Dict[str, Any]) -> None:
    before = mine["before"]
    if before is not None and {same_item(each) for each in rest} == {same_item(each) for each in before}:
        _put_back(document, key, mine)
    elif rest or before is not None:
        document.set(key, rest)
    else:
        document.delete(key)


def _put_back(document: JsonText, key: str, mine: Dict[str, Any]) -> None:
    document.set(key, mine["before"])
    if mine.get("source") is not None:
        document.write(key, mine["source"])


def _checked(document: JsonText, key: str) -> Any:
    """The value of one of our keys, None where it is absent. Raises HostError where dockerd would refuse its type."""
    if key not in document.keys:
        return None
    value = document.values[key]
    if key in (MIRRORS, INSECURE):
        if not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
            raise document.error(key, "must be a list of strings")
    elif key == DEBUG:
        if not isinstance(value, bool):
            raise document.error(key, "must be true or false")
    elif isinstance(value, bool) or not isinstance(value, int):
        raise document.error(key, "must be a whole number")
    return value


def _distinct(items: Tuple[str, ...]) -> List[str]:
    return list({same_item(each): each for each in reversed(items)}.values())[::-1]
