"""Keys of ours in a TOML file that others write too: put in and taken out, all else kept. Pure text work.

A list becomes our items with theirs behind; any other value becomes ours. A key that is there is set in place. A new
one goes below the header of its table or, where that has none, into a block at the end, so that it can be cut out
again whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from hostctl import toml_text
from hostctl.errors import HostError
from hostctl.masking import masked_value
from hostctl.toml_text import KeyPath, Setting

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

BLOCK_HEAD = "# Set by http-registry"
TIDY_FIRST = (True, False)
"""In a list of several lines tomlkit's edits keep comments; where one of them goes wrong, the list is written anew."""


def merge(text: str, settings: Sequence[Setting], file: str) -> Tuple[str, Dict[str, Any]]:
    """The text with the settings, and what of it is ours, for `unmerge`.

    Lists that are there must be lists. Raises HostError where the text can't be read or can't be edited, or has a table
    where a value belongs.
    """
    expected = toml_text.values(text, file)
    keys = [_planned(expected, path, wanted, file) for path, wanted in settings]
    for key in keys:
        toml_text.put(expected, key["path"], key["set"], file)
    for start, document in _edited(text, keys, file):
        for way, block in _ways(start, document, [key for key in keys if key["before"] is None], file):
            if toml_text.says(way, expected, file):
                return way, {"keys": keys, "block": block}
    raise toml_text.odd(file)


def unmerge(
    text: str, ours: Mapping[str, Any], file: str, called: Callable[[KeyPath], str] = toml_text.dotted
) -> Tuple[str, List[str]]:
    """The text without us, and sentences about what somebody changed since, which stays.

    `called`: what the sentences call a key. They never tell a secret.
    """
    expected = toml_text.parsed(text, file).unwrap()
    notes: List[str] = []
    leaving: List[Tuple[Mapping[str, Any], Any]] = []
    for key in ours["keys"]:
        path, before = key["path"], key["before"]
        value = (toml_text.find(expected, path[:-1]) or {}).get(path[-1])
        if value == key["set"]:
            leaving.append((key, before))
        elif "added" in key and isinstance(value, list):
            gone = [each for each in key["added"] if each not in value]
            notes += [f"{file}: somebody has taken {', '.join(gone)} out of {called(path)} since"] if gone else []
            rest = [each for each in value if each not in key["added"]]
            leaving.append((key, None if before is None and not rest else rest))
        else:
            was, now = (masked_value(path[-1], each) for each in (key["set"], value))
            notes.append(f"{file}: somebody has changed {called(path)} from {was} to {now} since; theirs stays")
    plain = toml_text.replaced(text, ours["block"], "")
    for key, _ in reversed(leaving):
        plain = toml_text.replaced(plain, key.get("below", ""), key.get("header", ""))
    _restore(expected, leaving, tidy=False)
    for start in (plain, text):
        for tidy in TIDY_FIRST:
            document = toml_text.parsed(start, file)
            way = document.as_string() if _restore(document, leaving, tidy) else start
            if toml_text.says(way, expected, file):
                return way, notes
    raise toml_text.odd(file)


def holds(document: Mapping[str, Any], settings: Sequence[Setting]) -> bool:
    """Whether a document says all of the settings."""
    return all(
        joined(wanted, there) == there
        for path, wanted in settings
        for there in [(toml_text.find(document, path[:-1]) or {}).get(path[-1])]
    )


def joined(wanted: Any, before: Any) -> Any:
    """A wanted value over an earlier one: of lists ours first, without doubles."""
    if not isinstance(wanted, list):
        return wanted
    return [*wanted, *(each for each in before or [] if each not in wanted)]


def _planned(document: Mapping[str, Any], path: Sequence[str], wanted: Any, file: str) -> Dict[str, Any]:
    """What becomes of a key of ours in a document. Raises HostError where that has a table there."""
    before = (toml_text.find(document, path[:-1]) or {}).get(path[-1])
    if isinstance(before, Mapping) or (before and isinstance(before, list) and isinstance(before[0], Mapping)):
        raise HostError(f"{file}: {toml_text.dotted(path)} must be a value and no table; correct it and try again")
    depth = sum(toml_text.find(document, path[:each]) is not None for each in range(1, len(path)))
    key: Dict[str, Any] = {"path": list(path), "set": joined(wanted, before), "before": before, "tables": depth}
    if isinstance(wanted, list):
        key["added"] = [each for each in wanted if each not in (before or [])]
    return key


def _edited(text: str, keys: Sequence[Dict[str, Any]], file: str) -> Iterator[Tuple[str, Optional[TOMLDocument]]]:
    """The text with those keys set that had another value, which notes how that was `written`; and its document, or
    None where there was nothing to edit."""
    edited = [key for key in keys if key["before"] not in (None, key["set"])]
    if not edited:
        yield text, None  # tomlkit gives back a document's very bytes for the plain ones only
        return
    for tidy in TIDY_FIRST:
        document = toml_text.parsed(text, file)
        for key in edited:
            table = toml_text.find(document, key["path"][:-1])
            assert table is not None
            key["written"] = toml_text.source(table[key["path"][-1]])
            _set(document, key["path"], key["set"], tidy)
        yield document.as_string(), document


def _set(document: Any, path: Sequence[str], value: Any, tidy: bool) -> None:
    table = toml_text.find(document, path[:-1])
    assert table is not None
    there = table[path[-1]]
    if not (tidy and isinstance(value, list) and isinstance(there, list) and "\n" in toml_text.source(there)):
        table[path[-1]] = value
        return
    for each in [each for each in there if each not in value]:
        there.remove(each)
    for place, each in enumerate(value):
        if list(there[place : place + 1]) != [each]:
            if each in there:
                there.remove(each)
            there.insert(place, each)


def _restore(document: Any, leaving: Sequence[Tuple[Mapping[str, Any], Any]], tidy: bool) -> bool:
    """Put earlier values back and delete what is ours; returns whether that changed anything."""
    changed = False
    for key, rest in reversed(leaving):
        path = key["path"]
        table = toml_text.find(document, path[:-1])
        if table is None or path[-1] not in table or toml_text.plain(table[path[-1]]) == rest:
            continue
        changed = True
        if rest is None:
            toml_text.take_out(document, path, key["tables"])
        elif rest == key["before"]:
            # Records of an earlier hostctl hold no `written`.
            table[path[-1]] = toml_text.value(key["written"]) if "written" in key else rest
        else:
            _set(document, path, rest, tidy)
    return changed


def _ways(
    start: str, document: Optional[TOMLDocument], new: List[Dict[str, Any]], file: str
) -> Iterator[Tuple[str, str]]:
    """The ways of writing new keys, the tidiest first: the text, and the block in it that is ours alone."""
    text, homeless = start, []
    for key in new:
        header = toml_text.header_of(text, key["path"][:-1])
        if header is None:
            homeless.append(key)
        else:
            key["header"], key["below"] = header, toml_text.below(header, key["path"][-1], key["set"])
            text = toml_text.replaced(text, header, key["below"])
    block = toml_text.behind(text, _block(homeless)) if text else _block(homeless).lstrip("\n")
    yield text + block, block
    if homeless:
        yield toml_text.inserted(text, homeless[-1]["path"][:-1], _block(homeless)), _block(homeless)
    # What follows is for inline tables and dotted keys.
    document = toml_text.parsed(start, file) if document is None else document
    for key in new:
        if key["tables"] == len(key["path"]) - 1:
            toml_text.put(document, key["path"], key["set"], file)
    tableless = [key for key in new if key["tables"] < len(key["path"]) - 1]
    text = document.as_string()
    block = toml_text.behind(text, _block(tableless))
    yield text + block, block
    for key in tableless:
        toml_text.put(document, key["path"], key["set"], file)
    yield document.as_string(), ""


def _block(keys: Sequence[Mapping[str, Any]]) -> str:
    return toml_text.block(BLOCK_HEAD, [(key["path"], key["set"]) for key in keys])
