"""What is fuzzed: a function of bytes that lets nothing but a finding out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

CASES = Path(__file__).parents[1] / "tests" / "cases"
FOUND = CASES / "fuzz"
"""Inputs that once were findings, by target: the unit tier runs each."""


class Target(NamedTuple):
    """A parser with what has to hold of it for any bytes.

    `run` raises for a finding: any exception that the parser does not promise, or a broken claim (AssertionError).
    `seeds`: what mutations begin with. `words`: what such texts are made of.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[str, ...] = ()


@contextmanager
def promised(*errors: type[Exception]) -> Iterator[None]:
    """The errors that a parser's docstring tells of."""
    with suppress(*errors):
        yield


def cases(*patterns: str) -> tuple[bytes, ...]:
    """The files of tests/cases that fit a pattern, each content once."""
    paths = [path for pattern in patterns for path in sorted(CASES.glob(pattern)) if path.is_file()]
    return tuple(dict.fromkeys(path.read_bytes() for path in paths))


def texts(*given: str) -> tuple[bytes, ...]:
    """Seeds written here."""
    return tuple(each.encode() for each in given)


def chosen(data: bytes, *among: Iterable[object]) -> tuple[list[object], bytes]:
    """One of each, by the first bytes; and the rest."""
    found = []
    for each in among:
        listed = list(each)
        found.append(listed[data[0] % len(listed)] if data else listed[0])
        data = data[1:]
    return found, data
