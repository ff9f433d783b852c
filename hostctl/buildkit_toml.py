"""Our keys in buildkitd.toml: put in and taken out, everything else kept. Pure text work.

Keys and types are those of BuildKit's util/resolver/config; buildkitd takes them in any case, passes over the ones that
it does not know, and does not start where one has another type. A registry's mirrors are asked in their order and the
registry itself always comes last; `http`, `insecure` and `ca` of a mirror stand in the table of its own name.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from hostctl import toml_drift, toml_keys, toml_text
from hostctl.difference import Difference
from hostctl.errors import HostError
from hostctl.toml_text import KeyPath, Setting

PATH = "/etc/buildkit/buildkitd.toml"
TABLE, LISTS, FLAGS = "registry", ("mirrors", "ca"), ("http", "insecure")


class Registry(NamedTuple):
    """What we want for one server: its mirrors, whether it speaks plain HTTP, whether its certificate counts for
    nothing, files with authorities to trust. What is empty or false is not ours."""

    mirrors: Tuple[str, ...] = ()
    http: bool = False
    insecure: bool = False
    ca: Tuple[str, ...] = ()


Wanted = Mapping[str, Registry]
"""By the server's name in image references, with its port where it has one."""


def settings(wanted: Wanted) -> List[Setting]:
    """The wanted keys by their full path, in an order that depends on nothing but them."""
    found: List[Setting] = []
    for name in sorted(wanted):
        for key, value in wanted[name]._asdict().items():
            if value:
                found.append(((TABLE, name, key), list(value) if key in LISTS else value))
    return found


def merge(base: Optional[bytes], wanted: Wanted, path: str = PATH) -> Tuple[bytes, Dict[str, Any]]:
    """The base with our keys set, and what of it is ours. Raises HostError for a base that buildkitd would refuse."""
    text = toml_text.decoded(base, path)
    _refuse_types(toml_text.parsed(text, path).unwrap(), path)
    merged, ours = toml_keys.merge(text, settings(wanted), path)
    return toml_text.encoded(merged, base), {"created": base is None, **ours}


def unmerge(current: bytes, ours: Mapping[str, Any], path: str = PATH) -> Tuple[Optional[bytes], List[str]]:
    """The current text without us (None: no file), and sentences about what somebody changed since."""
    text, notes = toml_keys.unmerge(toml_text.decoded(current, path), ours, path)
    return None if ours["created"] and not text.strip() else toml_text.encoded(text, current), notes


def drift(current: bytes, ours: Mapping[str, Any], path: str = PATH) -> List[Difference]:
    """Which of our keys are gone or have another value. Raises HostError for a text that is no TOML."""
    document = toml_text.parsed(toml_text.decoded(current, path), path).unwrap()
    return toml_drift.differences(document, ours["keys"])


def holds(raw: Optional[bytes], wanted: Wanted, path: str = PATH) -> bool:
    """Whether a file says all that is wanted."""
    document = toml_text.parsed(toml_text.decoded(raw, path), path).unwrap()
    return toml_keys.holds(document, settings(wanted))


def addresses(raw: Optional[bytes], path: str = PATH) -> List[str]:
    """Where the file tells buildkitd to listen (`grpc.address`); empty where it does not say."""
    grpc = toml_text.parsed(toml_text.decoded(raw, path), path).unwrap().get("grpc")
    found = grpc.get("address") if isinstance(grpc, dict) else None
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _refuse_types(document: Mapping[str, Any], path: str) -> None:
    """Raises HostError for what buildkitd would not start with, or would take for another key of ours."""
    _refuse_capitals(document, (TABLE,), (), path)
    registries = _table(document, (TABLE,), path)
    for name in registries:
        table = _table(registries, (TABLE, name), path)
        for key in LISTS:
            value = table.get(key, [])
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                raise _wrong((TABLE, name, key), "a list of strings", path)
        for key in FLAGS:
            if not isinstance(table.get(key, False), bool):
                raise _wrong((TABLE, name, key), "true or false", path)
        _refuse_capitals(table, (*LISTS, *FLAGS), (TABLE, name), path)


def _table(parent: Mapping[str, Any], keys: KeyPath, path: str) -> Mapping[str, Any]:
    table = parent.get(keys[-1], {})
    if not isinstance(table, dict):
        raise _wrong(keys, "a table", path)
    return table


def _refuse_capitals(table: Mapping[str, Any], known: Tuple[str, ...], above: KeyPath, path: str) -> None:
    """buildkitd takes `Mirrors` for `mirrors`, and which of the two counts depends on their order."""
    for name in table:
        if name not in known and name.lower() in known:
            written = toml_text.dotted([*above, name])
            raise HostError(f"{path}: {written} must be written {name.lower()}; correct it and try again")


def _wrong(keys: KeyPath, rule: str, path: str) -> HostError:
    written = toml_text.dotted(keys)
    return HostError(f"{path}: {written} must be {rule}, else buildkitd does not start; correct it and try again")
