"""Settings with the place that each of them comes from, and their YAML, a comment on each line. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COLUMN = 60
"""Where comments begin, if the line leaves room."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True)
class Said:
    """A value, or a list of values, and where it was found."""

    value: Any
    source: str = ""


Tree = Mapping[str, "Tree"] | Sequence["Tree"] | Said
"""Settings of which each leaf is a `Said`."""


def plain(tree: Any) -> Any:
    """The settings alone."""
    if isinstance(tree, Said):
        return tree.value
    if isinstance(tree, Mapping):
        return {key: plain(each) for key, each in tree.items()}
    return [plain(each) for each in tree]


def yaml_lines(tree: Any, indent: str = "") -> Iterator[str]:
    """The tree as block YAML, each value behind its key with its source as a comment."""
    if isinstance(tree, Mapping):
        for key, each in tree.items():
            yield from _member(f"{indent}{key}:", each, f"{indent}  ")
    else:
        for each in tree:
            lines = list(_item(each, f"{indent}  "))
            yield f"{indent}- {lines[0].lstrip()}"
            yield from lines[1:]


def _member(head: str, tree: Any, indent: str) -> Iterator[str]:
    if isinstance(tree, Said):
        yield _commented(f"{head} {_scalar(tree.value)}", tree.source)
    elif not tree:
        yield f"{head} {'{}' if isinstance(tree, Mapping) else '[]'}"
    else:
        yield head
        yield from yaml_lines(tree, indent)


def _item(tree: Any, indent: str) -> Iterator[str]:
    if isinstance(tree, Said):
        yield _commented(f"{indent}{_scalar(tree.value)}", tree.source)
    else:
        yield from yaml_lines(tree, indent)


def _commented(line: str, source: str) -> str:
    return f"{line.ljust(COLUMN)} # {source}" if source else line


def _scalar(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_scalar(each)}' for key, each in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
