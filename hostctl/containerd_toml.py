"""Our keys in containerd's config.toml: put in and taken out, comments, order and line ends kept. Pure text work.

A key that is there is set in place by tomlkit. A new one goes below the header of its table or, where that has none,
into a block at the end, so that it can be cut out again whole. A file keeps its version: containerd reads those of
older versions, each in its own tables.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from hostctl import containerd_deprecated as deprecated
from hostctl import toml_drift, toml_text
from hostctl.containerd_versions import CRI, DEBUG_LEVEL, IMAGES, PATH, RUNTIME, Dialect, Release
from hostctl.difference import Difference
from hostctl.errors import HostError
from hostctl.masking import masked_value
from hostctl.toml_text import Setting

BLOCK_HEAD = "# Set by http-registry"
MOVED_HEAD = "# Put back by http-registry"


class RegistryLogin(NamedTuple):
    """A login for `registry.configs.<registry>.auth`."""

    registry: str
    user: str
    password: str


class Wanted(NamedTuple):
    """What we want in config.toml; None wants nothing."""

    config_path: str
    downloads: Optional[int] = None
    debug: bool = False
    migrate_deprecated: bool = False
    logins: Tuple[RegistryLogin, ...] = ()

    def settings(self, dialect: Dialect) -> List[Setting]:
        """The wanted keys by their full path."""
        wanted: List[Setting] = [((*dialect.registry, "config_path"), self.config_path)]
        for login in self.logins:
            auth = (*dialect.registry, "configs", login.registry, "auth")
            wanted += [((*auth, "username"), login.user), ((*auth, "password"), login.password)]
        if self.downloads is not None:
            # Logins make the CRI pull without the transfer service, and count its own table's downloads.
            table = dialect.cri if self.logins else dialect.downloads
            wanted.insert(0, ((*table, "max_concurrent_downloads"), self.downloads))
        if self.debug:
            wanted.insert(0, (DEBUG_LEVEL, "debug"))
        return wanted


def merge(base: Optional[bytes], wanted: Wanted, release: Release) -> Tuple[bytes, Dict[str, Any]]:
    """The base with our keys set, and what of it is ours. Raises HostError where the base contradicts the wish."""
    text = toml_text.decoded(base, PATH)
    document = toml_text.parsed(text, PATH)
    dialect = _dialect(document, release)
    moved = _moved(document.unwrap(), wanted, dialect)
    if moved:
        text = toml_text.without(text, [each["path"] for each in moved], PATH)
        document = toml_text.parsed(text, PATH)
    expected = document.unwrap()
    ours: Dict[str, Any] = {"created": base is None, "version": False, "keys": [], "moved": moved}
    if "version" not in document:
        ours["version"] = document["version"] = expected["version"] = dialect.version
    edited = bool(ours["version"])
    new: List[Dict[str, Any]] = []
    for path, value in wanted.settings(dialect):
        table = toml_text.find(document, path[:-1])
        there = None if table is None else table.get(path[-1])
        before = toml_text.plain(there)
        if path[-1] == "config_path":
            _refuse_other_folders(before, value, release)
        depth = sum(toml_text.find(document, path[:each]) is not None for each in range(1, len(path)))
        key = {"path": list(path), "set": value, "before": before, "tables": depth}
        ours["keys"].append(key)
        toml_text.put(expected, path, value, PATH)
        if table is None or there is None:
            new.append(key)
        elif before != value:
            key["written"] = there.as_string()
            table[path[-1]] = value
            edited = True
    if edited:  # tomlkit gives back a document's very bytes for the plain ones only
        text = document.as_string()
    for way, ours["block"] in _ways(text, document, new):
        if toml_text.says(way, expected, PATH):
            return toml_text.encoded(way, base), ours
    raise toml_text.odd(PATH)


def unmerge(current: bytes, ours: Mapping[str, Any]) -> Tuple[Optional[bytes], List[str]]:
    """The current text without us (None: no file), and sentences about what somebody changed since."""
    text = toml_text.decoded(current, PATH)
    document = toml_text.parsed(text, PATH)
    expected = document.unwrap()
    notes: List[str] = []
    leaving: List[Mapping[str, Any]] = []
    for key in ours["keys"]:
        path = key["path"]
        value = toml_text.plain((toml_text.find(expected, path[:-1]) or {}).get(path[-1]))
        if value == key["set"]:
            leaving.append(key)
        else:
            was, now = (masked_value(path[-1], each) for each in (key["set"], value))
            notes.append(f"{PATH}: somebody has changed {path[-1]} from {was} to {now} since; theirs stays")
    plain = toml_text.replaced(text, ours["block"], "")
    for key in leaving:
        plain = toml_text.replaced(plain, key.get("below", ""), key.get("header", ""))
    ways: List[Any] = [toml_text.parsed(plain, PATH), document]
    for each in (expected, *ways):
        for key in leaving:
            _restore(each, key)
        # What others have added since was written for this version, which is not the one of a file without a version.
        if ours["version"] and set(each) == {"version"}:
            del each["version"]
    back = [each for each in ours.get("moved", []) if toml_text.find(expected, each["path"]) is None]
    for each in back:
        toml_text.put(expected, each["path"], each["value"], PATH)
    if ours["created"] and not expected:
        return None, notes
    texts = [each.as_string() for each in ways]
    texts = [text + toml_text.behind(text, _tables(back)) for text in texts]
    for each in back:
        toml_text.put(document, each["path"], each["value"], PATH)
    for text in (*texts, document.as_string()):
        if toml_text.says(text, expected, PATH):
            return toml_text.encoded(text, current), notes
    raise toml_text.odd(PATH)


def drift(current: bytes, ours: Mapping[str, Any]) -> List[Difference]:
    """Which of our keys are gone or have another value. Raises HostError for a text that is no TOML."""
    document = toml_text.parsed(toml_text.decoded(current, PATH), PATH).unwrap()
    lost = ours["version"] and "version" not in document
    version = [Difference("version", ours["version"], None)] if lost else []
    return version + toml_drift.differences(document, ours["keys"])


def _ways(text: str, document: Any, new: List[Dict[str, Any]]) -> Iterator[Tuple[str, str]]:
    """The ways of writing new keys, the tidiest first: the text, and the block in it that is ours alone."""
    homeless = []
    for key in new:
        header = toml_text.header_of(text, key["path"][:-1])
        if header is None:
            homeless.append(key)
        else:
            key["header"], key["below"] = header, toml_text.below(header, key["path"][-1], key["set"])
            text = toml_text.replaced(text, header, key["below"])
    block = toml_text.behind(text, _block(homeless))
    yield text + block, block
    if homeless:
        yield toml_text.inserted(text, homeless[-1]["path"][:-1], _block(homeless)), _block(homeless)
    # What follows is for inline tables and dotted keys.
    for key in new:
        if key["tables"] == len(key["path"]) - 1:
            toml_text.put(document, key["path"], key["set"], PATH)
    tableless = [key for key in new if key["tables"] < len(key["path"]) - 1]
    text = document.as_string()
    block = toml_text.behind(text, _block(tableless))
    yield text + block, block
    for key in tableless:
        toml_text.put(document, key["path"], key["set"], PATH)
    yield document.as_string(), ""


def _block(keys: List[Dict[str, Any]]) -> str:
    return toml_text.block(BLOCK_HEAD, [(key["path"], key["set"]) for key in keys])


def holds(raw: Optional[bytes], wanted: Wanted, release: Release) -> bool:
    """Whether a config.toml has all that is wanted."""
    if raw is None:
        return False
    document = toml_text.parsed(toml_text.decoded(raw, PATH), PATH).unwrap()
    dialect = _dialect(document, release)
    return all(
        (toml_text.find(document, path[:-1]) or {}).get(path[-1]) == value for path, value in wanted.settings(dialect)
    )


def registry_of(base: Optional[bytes], release: Release) -> Mapping[str, Any]:
    """The registry table of a config.toml; empty where there is none."""
    document = toml_text.parsed(toml_text.decoded(base, PATH), PATH).unwrap()
    return toml_text.find(document, _dialect(document, release).registry) or {}


def _dialect(document: Mapping[str, Any], release: Release) -> Dialect:
    """The dialect of a document. Raises HostError where we can't write it, or where nothing would read it."""
    disabled = [each for each in document.get("disabled_plugins") or [] if each in ("cri", CRI, IMAGES, RUNTIME)]
    if disabled:
        raise HostError(
            f"{PATH}: disabled_plugins holds {disabled[0]!r}, so this containerd serves no Kubernetes and reads no "
            "mirrors; take it out of that list, or take the host out of the containerd mirrors"
        )
    version = toml_text.plain(document.get("version", 1)) if document else release.own.version
    for dialect in release.dialects:
        if dialect.version == version:
            return dialect
    able = " or ".join(str(each.version) for each in release.dialects)
    raise HostError(
        f"{PATH}: is of version {version!r}, and version {able} is needed; rewrite it ('containerd config migrate' "
        "from containerd 2.0 on; before, 'containerd config default' shows the tables of version 2)"
    )


def _moved(document: Mapping[str, Any], wanted: Wanted, dialect: Dialect) -> List[Dict[str, Any]]:
    """The deprecated tables that become hosts.toml files. Raises HostError where there are some and they may not."""
    registry = toml_text.find(document, dialect.registry) or {}
    if wanted.migrate_deprecated:
        paths = [[*dialect.registry, *each] for each in deprecated.movable(registry)]
        return [{"path": path, "value": toml_text.find(document, path)} for path in paths]
    for key in deprecated.KEYS:
        if registry.get(key):
            raise HostError(
                f"{PATH}: registry.{key} is set ({', '.join(registry[key])}), which is deprecated, and mirrors and TLS "
                "can't stand beside config_path; set containerd.migrate_deprecated of this host's runtimes, and they "
                "become hosts.toml files (logins stay as they are), or delete it there"
            )
    return []


def _refuse_other_folders(before: Any, ours: str, release: Release) -> None:
    """Raises HostError for a config_path whose hosts.toml files would no longer be read."""
    unread = release.transfers and isinstance(before, str) and ours in before.split(":")
    if before not in (None, "", ours) and not unread:
        raise HostError(
            f"{PATH}: config_path is {before!r}, and the hosts.toml files there would no longer be read; "
            "set containerd.config_path of this host's runtimes to it, or empty it in the file"
        )


def _restore(document: Any, key: Mapping[str, Any]) -> None:
    """Put a key's earlier value back; without one, delete the key and those tables that came with it and are empty."""
    path = key["path"]
    table = toml_text.find(document, path[:-1])
    if table is None or path[-1] not in table:
        return
    if key["before"] is not None:
        table[path[-1]] = toml_text.value(key["written"]) if key.get("written") else key["before"]
    else:
        toml_text.take_out(document, path, key["tables"])


def _tables(moved: List[Dict[str, Any]]) -> str:
    """The moved tables as text."""
    if not moved:
        return ""
    import tomlkit

    document: Dict[str, Any] = {}
    for each in moved:
        toml_text.put(document, each["path"], each["value"], PATH)
    return f"\n{MOVED_HEAD}\n{tomlkit.dumps(document)}"
