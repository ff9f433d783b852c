"""Mutations that libFuzzer's own, of bytes, seldom come to: a value of a JSON document exchanged, a line moved."""

from __future__ import annotations

import json
import random
import tomllib
from contextlib import suppress
from typing import Any

import tomlkit

CHOICES = bytes(range(8))
"""Bytes that choose a wish, before the text itself."""

ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**30,
    float("inf"),
    float("nan"),
    "",
    "x",
    "a:b",
    [],
    {},
    [None],
    [[]],
    {"": None},
    ["x"],
    "http://[",
    "http://h:99999/",
    "\ud800",
    "a" * 70,
    9999999999,
    "1",
    {"digest": "x"},
    [1, "a", {}],
)


def mutated(data: bytes, seed: int) -> bytes:
    """Another text of the same kind. The same seed makes the same of it."""
    chance = random.Random(seed)  # noqa: S311
    text = data.lstrip(CHOICES)
    lead = data[: len(data) - len(text)]
    with suppress(ValueError, RecursionError):
        return lead + json.dumps(_exchanged(json.loads(text), chance)).encode("utf-8", "surrogatepass")
    with suppress(ValueError, TypeError, AttributeError, RecursionError):
        if chance.randrange(2):
            return lead + tomlkit.dumps(_exchanged(tomllib.loads(text.decode()), chance)).encode("utf-8", "replace")
    return lead + _lines(text, chance)


def _exchanged(document: Any, chance: random.Random) -> Any:
    """The document with one value exchanged, gone or doubled, wherever it is."""
    places: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        each = waiting.pop()
        keys: list[Any] = (
            list(each) if isinstance(each, dict) else list(range(len(each))) if isinstance(each, list) else []
        )
        places += [(each, key) for key in keys]
        waiting += [each[key] for key in keys]
    if not places:
        return chance.choice(ODD)
    parent, key = chance.choice(places)
    kind = chance.randrange(5)
    if kind < 3:
        parent[key] = chance.choice([*ODD, chance.choice(places)[0]] if kind else ODD)
        if kind == 2 and parent[key] is not None:
            parent[key] = json.loads(json.dumps(chance.choice(ODD)))
    elif kind == 3:
        del parent[key]
    elif isinstance(parent, dict):
        parent[str(key).swapcase()] = parent[key]
    else:
        parent.append(parent[key])
    try:
        json.dumps(document)
    except ValueError:  # it holds itself by now
        parent[key] = None
    return document


def _lines(data: bytes, chance: random.Random) -> bytes:
    """The text with one of its lines gone, doubled or moved, or with one word in another's place."""
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    kind = chance.randrange(4)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(chance.randrange(len(lines)), lines[at])
    elif kind == 2:
        lines[at] *= chance.choice((2, 3, 50))
    else:
        words, others = lines[at].split(b" "), chance.choice(lines).split(b" ")
        words[chance.randrange(len(words))] = chance.choice(others)
        lines[at] = b" ".join(words)
    return b"\n".join(lines)
