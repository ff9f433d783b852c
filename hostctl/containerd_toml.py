"""Our keys in containerd's config.toml: put in and taken out, comments, order and line ends kept. Pure text work.

A file keeps its version: containerd reads those of older versions, each in its own tables. Deprecated tables that can't
stand beside our keys are moved out of it, and put back.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from hostctl import containerd_deprecated as deprecated
from hostctl import toml_drift, toml_keys, toml_text
from hostctl.containerd_versions import CRI, DEBUG_LEVEL, IMAGES, PATH, RUNTIME, Dialect, Release
from hostctl.difference import Difference
from hostctl.errors import HostError
from hostctl.toml_text import Setting

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
    metrics: str = ""
    """Where it tells its own figures: `address:port`, or `:port` for all addresses; empty: not our affair."""
    said: Tuple[int, ...] = ()
    """Which of the settings, by their places, a file says that config.toml imports."""

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
        if self.metrics:
            wanted.insert(0, ((*dialect.metrics, "address"), self.metrics))
        if self.debug:
            wanted.insert(0, (DEBUG_LEVEL, "debug"))
        return [each for index, each in enumerate(wanted) if index not in self.said]


def merge(base: Optional[bytes], wanted: Wanted, release: Release) -> Tuple[bytes, Dict[str, Any]]:
    """The base with our keys set, and what of it is ours. Raises HostError where the base contradicts the wish."""
    text = toml_text.decoded(base, PATH)
    document = toml_text.values(text, PATH)
    dialect = _dialect(document, release)
    moved = _moved(document, wanted, dialect)
    if moved:
        text = toml_text.without(text, [each["path"] for each in moved], PATH)
    _refuse_other_folders(document, wanted, dialect, release)
    ours: Dict[str, Any] = {"created": base is None, "version": False, "moved": moved}
    if "version" not in document:  # which holds nothing but comments then
        ours["version"] = dialect.version
        text += toml_text.behind(text, f"version = {dialect.version}\n")
    text, keys = toml_keys.merge(text, wanted.settings(dialect), PATH)
    return toml_text.encoded(text, base), {**ours, **keys}


def unmerge(current: bytes, ours: Mapping[str, Any]) -> Tuple[Optional[bytes], List[str]]:
    """The current text without us (None: no file), and sentences about what somebody changed since."""
    text, notes = toml_keys.unmerge(toml_text.decoded(current, PATH), ours, PATH, called=itemgetter(-1))
    document = toml_text.parsed(text, PATH)
    # What others have added since was written for this version, which is not the one of a file without a version.
    if ours["version"] and set(document) == {"version"}:
        del document["version"]
        text = document.as_string()
    if ours["created"] and not document:
        return None, notes
    return toml_text.encoded(_moved_back(text, ours.get("moved", [])), current), notes


def drift(current: bytes, ours: Mapping[str, Any]) -> List[Difference]:
    """Which of our keys are gone or have another value. Raises HostError for a text that is no TOML."""
    document = toml_text.values(toml_text.decoded(current, PATH), PATH)
    lost = ours["version"] and "version" not in document
    version = [Difference("version", ours["version"], None)] if lost else []
    return version + toml_drift.differences(document, ours["keys"])


def holds(raw: Optional[bytes], wanted: Wanted, release: Release) -> bool:
    """Whether a config.toml has all that is wanted."""
    document = toml_text.values(toml_text.decoded(raw, PATH), PATH)
    return toml_keys.holds(document, wanted.settings(_dialect(document, release)))


def said_by(raw: bytes, wanted: Wanted, release: Release) -> List[int]:
    """Which of the settings, by their places, an imported file says; none of one that can't be read."""
    try:
        document = toml_text.values(toml_text.decoded(raw, PATH), PATH)
        settings = wanted.settings(_dialect(document, release))
    except HostError:
        return []
    return [index for index, each in enumerate(settings) if toml_keys.holds(document, [each])]


def registry_of(base: Optional[bytes], release: Release) -> Mapping[str, Any]:
    """The registry table of a config.toml; empty where there is none."""
    document = toml_text.values(toml_text.decoded(base, PATH), PATH)
    return toml_text.find(document, _dialect(document, release).registry) or {}


def _dialect(document: Mapping[str, Any], release: Release) -> Dialect:
    """The dialect of a document. Raises HostError where we can't write it, or where nothing would read it."""
    listed = document.get("disabled_plugins", [])
    if not isinstance(listed, list):
        raise HostError(f"{PATH}: disabled_plugins must be a list of strings; correct it and try again")
    disabled = [each for each in listed if each in ("cri", CRI, IMAGES, RUNTIME)]
    if disabled:
        raise HostError(
            f"{PATH}: disabled_plugins holds {disabled[0]!r}, so this containerd serves no Kubernetes and reads no "
            "mirrors; take it out of that list, or take the host out of the containerd mirrors"
        )
    version = document.get("version", 1) if document else release.own.version
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
        deprecated.hosts_files(registry)  # refuses what a hosts.toml can't say
        paths = [[*dialect.registry, *each] for each in deprecated.movable(registry)]
        return [{"path": path, "value": toml_text.find(document, path)} for path in paths]
    for key in deprecated.KEYS:
        if deprecated.tables(registry, key):
            raise HostError(
                f"{PATH}: registry.{key} is set ({', '.join(registry[key])}), which is deprecated, and mirrors and TLS "
                "can't stand beside config_path; set containerd.migrate_deprecated of this host's runtimes, and they "
                "become hosts.toml files (logins stay as they are), or delete it there"
            )
    return []


def _refuse_other_folders(document: Mapping[str, Any], wanted: Wanted, dialect: Dialect, release: Release) -> None:
    """Raises HostError for a config_path whose hosts.toml files would no longer be read."""
    ours = wanted.config_path
    before = (toml_text.find(document, dialect.registry) or {}).get("config_path")
    unread = release.transfers and isinstance(before, str) and ours in before.split(":")
    if before not in (None, "", ours) and not unread:
        raise HostError(
            f"{PATH}: config_path is {before!r}, and the hosts.toml files there would no longer be read; "
            "set containerd.config_path of this host's runtimes to it, or empty it in the file"
        )


def _moved_back(text: str, moved: List[Dict[str, Any]]) -> str:
    """The text with those of the moved tables that nobody has set anew."""
    document = toml_text.parsed(text, PATH)
    expected = document.unwrap()
    back = [each for each in moved if toml_text.find(expected, each["path"]) is None]
    if not back:
        return text
    for each in back:
        toml_text.put(expected, each["path"], each["value"], PATH)
        toml_text.put(document, each["path"], each["value"], PATH)
    for way in (text + toml_text.behind(text, _tables(back)), document.as_string()):
        if toml_text.says(way, expected, PATH):
            return way
    raise toml_text.odd(PATH)


def _tables(moved: List[Dict[str, Any]]) -> str:
    """The moved tables as text."""
    import tomlkit

    document: Dict[str, Any] = {}
    for each in moved:
        toml_text.put(document, each["path"], each["value"], PATH)
    return f"\n{MOVED_HEAD}\n{tomlkit.dumps(document)}"
