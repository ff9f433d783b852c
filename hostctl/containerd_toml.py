"""Our keys in containerd's config.toml: put in and taken out, comments, order and line ends kept. Pure text work.

A key whose table exists is set in place by tomlkit; a table that is missing comes as a block at the end, so that it
can be cut out again whole. Sources: containerd docs/cri/config.md and RELEASES.md; pkg/cri/config/config.go refuses
`mirrors` beside `config_path`, and `containerd config dump` does not notice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, MutableMapping, NamedTuple, Optional, Tuple

from hostctl.errors import HostError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

PATH = "/etc/containerd/config.toml"
BLOCK_HEAD = "# Set by http-registry"

Setting = Tuple[Tuple[str, ...], Any]


class Dialect(NamedTuple):
    """Where one generation of containerd reads what."""

    version: int
    registry: Tuple[str, ...]
    downloads: Tuple[str, ...]
    cri: Tuple[str, ...]


_CRI = "io.containerd.grpc.v1.cri"
_VERSION_2 = Dialect(2, ("plugins", _CRI, "registry"), ("plugins", _CRI), ("cri", _CRI))
DIALECTS = {(1, 6): _VERSION_2, (1, 7): _VERSION_2}


class Wanted(NamedTuple):
    """What we want in config.toml; None wants nothing."""

    config_path: str
    downloads: Optional[int] = None

    def settings(self, dialect: Dialect) -> List[Setting]:
        """The wanted keys by their full path."""
        wanted: List[Setting] = [((*dialect.registry, "config_path"), self.config_path)]
        if self.downloads is not None:
            wanted.insert(0, ((*dialect.downloads, "max_concurrent_downloads"), self.downloads))
        return wanted


def dialect_of(version: str) -> Dialect:
    """The dialect for what `containerd --version` prints. Raises HostError for a containerd that we don't know."""
    found = re.search(r"\sv?(\d+)\.(\d+)\.", version)
    if found is None:
        raise HostError(f"containerd --version: no version in {version.strip()!r}")
    number = (int(found.group(1)), int(found.group(2)))
    if number not in DIALECTS:
        known = ", ".join(f"{major}.{minor}" for major, minor in DIALECTS)
        raise HostError(f"containerd {number[0]}.{number[1]} is not supported yet; supported: {known}")
    return DIALECTS[number]


def merge(base: Optional[bytes], wanted: Wanted, dialect: Dialect) -> Tuple[bytes, Dict[str, Any]]:
    """The base with our keys set, and what of it is ours. Raises HostError where the base contradicts the wish."""
    text = _decoded(base)
    document = _parsed(text)
    _refuse_contradictions(document.unwrap(), dialect)
    expected = document.unwrap()
    ours: Dict[str, Any] = {"created": base is None, "version": "version" not in document, "keys": []}
    if ours["version"]:
        document["version"] = expected["version"] = dialect.version
    edited = ours["version"]
    missing: List[Setting] = []
    for path, value in wanted.settings(dialect):
        table = _find(document, path[:-1])
        before = None if table is None else _plain(table.get(path[-1]))
        if path[-1] == "config_path" and before not in (None, "", value):
            raise HostError(
                f"{PATH}: config_path is {before!r}, and the hosts.toml files there would no longer be read; "
                "set containerd.config_path of this host's runtimes to it, or empty it in the file"
            )
        depth = sum(_find(document, path[:each]) is not None for each in range(1, len(path)))
        ours["keys"].append({"path": list(path), "set": value, "before": before, "tables": depth})
        _set(expected, path, value)
        if table is None:
            missing.append((path, value))
        elif before != value:
            table[path[-1]] = value
            edited = True
    if edited:  # tomlkit gives back a document's very bytes for the plain ones only
        text = document.as_string()
    ours["block"] = _block(missing)
    if missing:
        text += ("" if not text or text.endswith("\n") else "\n") + ours["block"]
    return _checked([text], expected, base), ours


def unmerge(current: bytes, ours: Mapping[str, Any]) -> Tuple[Optional[bytes], List[str]]:
    """The current text without us (None: no file), and sentences about what somebody changed since."""
    text = _decoded(current)
    document = _parsed(text)
    expected = document.unwrap()
    notes: List[str] = []
    leaving: List[Mapping[str, Any]] = []
    for key in ours["keys"]:
        path = key["path"]
        value = _plain((_find(expected, path[:-1]) or {}).get(path[-1]))
        if value == key["set"]:
            leaving.append(key)
        else:
            notes.append(f"{PATH}: somebody has changed {path[-1]} from {key['set']} to {value} since; theirs stays")
    ways = [_parsed(_without_block(text, ours["block"])), document] if ours["block"] else [document]
    for each in (expected, *ways):
        for key in leaving:
            _take_out(each, key)
        # What others have added since was written for this version, which is not the one of a file without a version.
        if ours["version"] and set(each) == {"version"}:
            del each["version"]
    if ours["created"] and not expected:
        return None, notes
    return _checked([each.as_string() for each in ways], expected, current), notes


def shows(dump: str, wanted: Wanted, dialect: Dialect) -> Optional[str]:
    """What `containerd config dump` shows other than what is wanted, or None."""
    # The dump comes with log lines, which containerd writes to standard error.
    document = _parsed("\n".join(line for line in dump.splitlines() if not line.startswith("time="))).unwrap()
    for path, value in wanted.settings(dialect):
        shown = _plain((_find(document, path[:-1]) or {}).get(path[-1]))
        if shown != value:
            return f"containerd would use {path[-1]} = {shown!r} in place of {value!r}; look for it in its 'imports'"
    return None


def holds(text: Optional[bytes], wanted: Wanted, dialect: Dialect) -> bool:
    """Whether a config.toml has all that is wanted."""
    return text is not None and shows(_decoded(text), wanted, dialect) is None


def _refuse_contradictions(document: Mapping[str, Any], dialect: Dialect) -> None:
    disabled = [each for each in document.get("disabled_plugins") or [] if each in dialect.cri]
    if disabled:
        raise HostError(
            f"{PATH}: disabled_plugins holds {disabled[0]!r}, so this containerd serves no Kubernetes and reads no "
            "mirrors; take it out of that list, or take the host out of the containerd mirrors"
        )
    if document and document.get("version") != dialect.version:
        raise HostError(
            f"{PATH}: is of version {document.get('version', 1)}, and version {dialect.version} is needed; rewrite it "
            f"('containerd config migrate' from containerd 2.0 on; before, 'containerd config default' shows the "
            f"tables of version {dialect.version})"
        )
    registry = _find(document, dialect.registry) or {}
    for key in ("mirrors", "configs", "auths"):
        if registry.get(key):
            raise HostError(
                f"{PATH}: registry.{key} is set ({', '.join(registry[key])}), which containerd refuses beside "
                "config_path; move it into hosts.toml files (mirrors of this program), delete it there and try again"
            )


def _decoded(raw: Optional[bytes]) -> str:
    try:
        return (raw or b"").decode()
    except UnicodeDecodeError as broken:
        raise HostError(f"{PATH}: is not UTF-8 (byte {broken.start}); write it again as UTF-8") from broken


def _parsed(text: str) -> TOMLDocument:
    # tomlkit takes longer to import than all of hostctl; `observe` does without it.
    import tomlkit
    from tomlkit.exceptions import ParseError, TOMLKitError

    try:
        return tomlkit.parse(text)
    except ParseError as broken:
        raise HostError(
            f"{PATH}, line {broken.line}, column {broken.col}: is not TOML "
            f"({str(broken).split(' at line ')[0]}); correct it and try again"
        ) from broken
    except TOMLKitError as broken:
        raise HostError(f"{PATH}: is not TOML ({broken}); correct it and try again") from broken


def _checked(ways: List[str], expected: Mapping[str, Any], model: Optional[bytes]) -> bytes:
    """The first text that says what is expected, with the line ends of the model. Raises HostError if none does."""
    for text in ways:
        if _says(text, expected):
            if model and model.count(b"\r\n") == model.count(b"\n") > 0:
                text = text.replace("\r\n", "\n").replace("\n", "\r\n")
            return text.encode()
    raise HostError(
        f"{PATH}: its way of writing 'plugins' can't be edited safely; write its tables with headers, "
        "each before the tables below it, and try again"
    )


def _says(text: str, expected: Mapping[str, Any]) -> bool:
    try:
        return _parsed(text).unwrap() == expected
    except HostError:
        return False


def _without_block(text: str, block: str) -> str:
    for form in (block, block.replace("\n", "\r\n")):
        if text.count(form) == 1:
            return text.replace(form, "")
    return text


def _block(settings: List[Setting]) -> str:
    """The settings as TOML tables of their own."""
    if not settings:
        return ""
    import tomlkit

    lines, header = ["", BLOCK_HEAD], ""
    for path, value in settings:
        table = ".".join(tomlkit.key(each).as_string() for each in path[:-1])
        if table != header:
            header = table
            lines.append(f"[{table}]")
        lines.append(f"{path[-1]} = {tomlkit.item(value).as_string()}")
    return "\n".join(lines) + "\n"


def _find(document: Any, path: Any) -> Optional[MutableMapping[str, Any]]:
    node: Any = document
    for name in path:
        if not isinstance(node, Mapping) or name not in node:
            return None
        node = node[name]
    return node if isinstance(node, MutableMapping) else None


def _set(document: Dict[str, Any], path: Tuple[str, ...], value: Any) -> None:
    node = document
    for name in path[:-1]:
        node = node.setdefault(name, {})
    node[path[-1]] = value


def _take_out(document: Any, key: Mapping[str, Any]) -> None:
    """Put a key's earlier value back; without one, delete the key and those tables that came with it and are empty."""
    path = key["path"]
    table = _find(document, path[:-1])
    if table is None or path[-1] not in table:
        return
    if key["before"] is not None:
        table[path[-1]] = key["before"]
        return
    del table[path[-1]]
    for depth in range(len(path) - 1, key["tables"], -1):
        parent = _find(document, path[: depth - 1])
        if parent is None or _find(document, path[:depth]):
            return
        del parent[path[depth - 1]]


def _plain(value: Any) -> Any:
    return value.unwrap() if hasattr(value, "unwrap") else value
