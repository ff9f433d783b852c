"""TOML texts edited so that what others wrote keeps its bytes: comments, order, line ends. Pure text work.

tomlkit gives a document's bytes back, but not every edit of it survives: tables in an odd order, dotted keys. So each
edit is tried in the ways that there are, and the first whose text `says` exactly what is expected is taken.

`values` reads, with Python's own tomllib where there is one. tomlkit takes longer to load than all of hostctl, so it is
for what has to be edited within, or could not be so later.
"""

from __future__ import annotations

import codecs
import json
import sys
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, MutableMapping, Optional, Sequence, Set, Tuple

from hostctl.errors import HostError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

KeyPath = Sequence[str]
Setting = Tuple[Tuple[str, ...], Any]
"""A key by its full path, and its value."""


def decoded(raw: Optional[bytes], file: str) -> str:
    """The text of a file, without a byte order mark; `encoded` puts it back. Raises HostError if it is not UTF-8."""
    try:
        return (raw or b"").decode("utf-8-sig")
    except UnicodeDecodeError as broken:
        raise HostError(f"{file}: is not UTF-8 (byte {broken.start}); write it again as UTF-8") from broken


def parsed(text: str, file: str) -> TOMLDocument:
    """The document that a text is, to be edited. Raises HostError with line and column where it is none."""
    import tomlkit
    from tomlkit.exceptions import ParseError, TOMLKitError

    try:
        document = tomlkit.parse(text)
        document.unwrap()  # where tomlkit finds tables that are there twice
        return document
    except ParseError as broken:
        raise _unreadable(f"{file}, line {broken.line}, column {broken.col}", broken) from broken
    except TOMLKitError as broken:
        raise _unreadable(file, broken) from broken
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as broken:  # tomlkit's own faults
        raise _unreadable(file, broken) from broken
    except RecursionError as deep:
        raise HostError(
            f"{file}: is nested too deeply to be a configuration; put a working file in its place"
        ) from deep


def values(text: str, file: str) -> Dict[str, Any]:
    """What a text says. Raises HostError as `parsed` does."""
    try:
        import tomllib  # from Python 3.11 on; a tenth of tomlkit's time

        return tomllib.loads(text)
    except (ImportError, ValueError, RecursionError):
        found: Dict[str, Any] = parsed(text, file).unwrap()
        return found


def _unreadable(where: str, broken: Exception) -> HostError:
    return HostError(
        f"{where}: can't be read as TOML ({str(broken).split(' at line ')[0]}); correct it (tables that belong "
        "together must stand together) and try again"
    )


def plain(value: Any) -> Any:
    """A value without what tomlkit knows about its text."""
    return value.unwrap() if hasattr(value, "unwrap") else value


def find(document: Any, path: KeyPath) -> Optional[MutableMapping[str, Any]]:
    """The table at a path, or None."""
    node: Any = document
    for name in path:
        if not isinstance(node, Mapping) or name not in node:
            return None
        node = node[name]
    return node if isinstance(node, MutableMapping) else None


def put(document: MutableMapping[str, Any], path: KeyPath, value: Any, file: str) -> None:
    """Set a value, and make the tables above it. Raises HostError where one of those is something else."""
    node: Any = document
    for name in path[:-1]:
        node = node.setdefault(name, {})
        if not isinstance(node, MutableMapping):
            raise HostError(f"{file}: {name} must be a table; correct it and try again")
    node[path[-1]] = value


def take_out(document: Any, path: KeyPath, kept: int) -> None:
    """Delete a key, and those tables above it that are empty then, save the `kept` outermost."""
    table = find(document, path[:-1])
    if table is None or path[-1] not in table:
        return
    del table[path[-1]]
    for depth in range(len(path) - 1, kept, -1):
        parent = find(document, path[: depth - 1])
        if parent is None or find(document, path[:depth]):
            return
        del parent[path[depth - 1]]


def dotted(path: KeyPath) -> str:
    """A key's full path as TOML writes it."""
    return ".".join(map(_key, path))


def block(head: str, settings: Iterable[Setting]) -> str:
    """The settings as tables of their own below a comment; empty where there are none."""
    lines, header = ["", head], ""
    for path, value in settings:
        table = dotted(path[:-1])
        if table != header:
            header = table
            lines.append(f"[{table}]")
        lines.append(f"{_key(path[-1])} = {_written(value)}")
    return "\n".join(lines) + "\n" if header else ""


def behind(text: str, addition: str) -> str:
    """What to put behind a text so that the addition begins on a line of its own."""
    return "\n" + addition if addition and text and not text.endswith("\n") else addition


def value(written: str) -> Any:
    """A value as it was written."""
    import tomlkit

    return tomlkit.value(written)


def source(value: Any) -> str:
    """How a value of a document is written there."""
    import tomlkit

    found: str = tomlkit.item(value).as_string()
    return found


def header_of(text: str, path: KeyPath) -> Optional[str]:
    """The line that begins a table, or None where the text has none."""
    for line in text.split("\n"):
        if _header(line) == tuple(path) and not line.lstrip().startswith("[["):
            return line.rstrip("\r")
    return None


def below(header: str, key: str, value: Any) -> str:
    """A header with a key below it."""
    indent = header[: len(header) - len(header.lstrip())]
    return f"{header}\n{indent}{_key(key)} = {_written(value)}"


def inserted(text: str, path: KeyPath, some: str) -> str:
    """The text with tables put before the one that follows the nearest table above `path`."""
    lines, above = text.split("\n"), -1
    headers = {place: header for place, header in enumerate(map(_header, lines)) if header}
    for place, header in headers.items():
        if header == tuple(path[: len(header)]) and (above < 0 or len(header) >= len(headers[above])):
            above = place
    following = next((place for place in headers if place > above >= 0), len(lines))
    return "\n".join([*lines[:following], *some.split("\n")[:-1], *lines[following:]])


def replaced(text: str, some: str, other: str) -> str:
    """The text with a piece replaced by another, if it is there once and as it was written, whatever its line ends."""
    for end in ("\n", "\r\n"):
        if some and text.count(some.replace("\n", end)) == 1:
            return text.replace(some.replace("\n", end), other.replace("\n", end))
    return text


def without(text: str, paths: Sequence[KeyPath], file: str) -> str:
    """The text without some tables. Comments stay, those between the keys that go as well."""
    expected, edited = parsed(text, file).unwrap(), parsed(text, file)
    for each in (expected, edited):
        for path in paths:
            take_out(each, path, len(path))
    for way in (_without_sections(text, paths), edited.as_string()):
        try:
            if _pruned(parsed(way, file).unwrap()) == _pruned(expected):
                return way
        except HostError:
            continue
    raise odd(file)


def says(text: str, expected: Mapping[str, Any], file: str) -> bool:
    """Whether a text is a document with just this content, which tomlkit can edit later."""
    try:
        return values(text, file) == expected and (_is_plain(text) or parsed(text, file).unwrap() == expected)
    except HostError:
        return False


def odd(file: str) -> HostError:
    """The error for a file that none of our edits suits."""
    return HostError(
        f"{file}: its way of writing can't be edited safely; write its tables with headers, "
        "each before the tables below it, and try again"
    )


def encoded(text: str, model: Optional[bytes]) -> bytes:
    """The bytes of a text, with the line ends and the byte order mark of `model`."""
    if model and model.count(b"\r\n") == model.count(b"\n") > 0:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    return (codecs.BOM_UTF8 if model and model.startswith(codecs.BOM_UTF8) else b"") + text.encode()


def _is_plain(text: str) -> bool:
    """Whether a text has nothing in which tomlkit has faults, so that it can edit whatever tomllib reads there.

    Each line is a header or a key with its value, each table stands before those below it, and at most one goes on
    behind another, as our own at the end does.
    """
    if sys.version_info < (3, 11):
        return False  # tomlkit has read it
    opened: Set[Tuple[str, ...]] = set()
    last: Tuple[str, ...] = ()
    parted = 0
    for line in text.split("\n"):
        header = _header(line)
        if header is None:
            if not _is_pair(line):
                return False
            continue
        above = [header[:depth] for depth in range(1, len(header))]
        if header in opened or line.lstrip().startswith("[["):
            return False
        parted += any(each in opened and each != last[: len(each)] for each in above)
        opened.update(above, [header])
        last = header
    return parted < 2


def _is_pair(line: str) -> bool:
    """Whether a line has no more than a key of its table with its whole value, and that is no table."""
    try:
        return "{" not in line and not any(isinstance(each, Mapping) for each in values(line.strip(), "").values())
    except HostError:
        return False


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else _written(name)


def _written(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # all else is as in JSON
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    return f"[{', '.join(map(_written, value))}]" if isinstance(value, list) else source(value)


def _without_sections(text: str, paths: Sequence[KeyPath]) -> str:
    """The text without the headers and keys of these tables, as far as each is written below a header of its own."""
    kept: List[str] = []
    section: Tuple[str, ...] = ()
    for line in text.split("\n"):
        section = _header(line) or section
        goes = any(section[: len(path)] == tuple(path) for path in paths)
        if not goes or not line.strip() or line.lstrip().startswith("#"):
            kept.append(line)
    return "\n".join(kept)


def _header(line: str) -> Optional[Tuple[str, ...]]:
    """The path of the table that begins with this line, or None."""
    if not line.lstrip().startswith("["):
        return None
    try:
        node: Any = values(line.strip(), "")
    except HostError:
        return None
    path: List[str] = []
    while node:
        name, node = next(iter(node.items()))
        node = node[0] if isinstance(node, list) else node
        path.append(name)
    return tuple(path)


def _pruned(value: Any) -> Any:
    """A value without its empty tables: one that only stood above others goes with them."""
    if not isinstance(value, Mapping):
        return value
    inner: Dict[str, Any] = {name: _pruned(each) for name, each in value.items()}
    return {name: each for name, each in inner.items() if each != {}}
