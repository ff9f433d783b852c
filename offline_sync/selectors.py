"""Which tags of a repository are wanted: by their names, by patterns, by ranges of versions. Pure.

A range takes whole versions only, `1.2.3` or `v1.2.3`: what moves (`1.2`) or has a suffix (`1.2.3-alpine`) is wanted by
its name or by a pattern. Comparisons: https://semver.org, 11.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Callable, Iterable, List, Optional, Tuple

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
PATTERN = re.compile(r"[A-Za-z0-9._*?\[\]!-]{1,128}")
_VERSION = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_BOUND = re.compile(r"(>=|<=|>|<|=|\^|~)v?(\d+)(?:\.(\d+))?(?:\.(\d+))?")

Version = Tuple[int, ...]


def check(selector: str) -> None:
    """Raises ValueError that says the rule."""
    if is_range(selector):
        for each in selector.split():
            if not _BOUND.fullmatch(each):
                raise ValueError(
                    f"{each!r} is no bound of a range; write >=, >, <=, <, =, ^ or ~ and a version, such as '>=1.2 <2'"
                )
    elif not (PATTERN if is_pattern(selector) else TAG).fullmatch(selector):
        raise ValueError("must be a tag, a pattern with * ? or [], or a range of versions such as '>=1.2 <2'")


def is_range(selector: str) -> bool:
    """Whether it speaks of versions."""
    return selector[:1] in tuple("<>=^~")


def is_pattern(selector: str) -> bool:
    """Whether it may mean any number of tags by their letters."""
    return not is_range(selector) and any(each in selector for each in "*?[")


def is_exact(selector: str) -> bool:
    """Whether it is one tag, which must be there."""
    return not is_range(selector) and not is_pattern(selector)


def matches(selector: str, tag: str) -> bool:
    """Whether it means that tag."""
    if is_range(selector):
        version = _version(tag)
        return version is not None and all(within(version) for within in _bounds(selector))
    return fnmatchcase(tag, selector) if is_pattern(selector) else tag == selector


def wanted(selectors: Iterable[str], tags: Iterable[str]) -> List[str]:
    """The tags that any of them means, in order."""
    chosen = list(selectors)
    return sorted(tag for tag in tags if any(matches(each, tag) for each in chosen))


def _version(tag: str) -> Optional[Version]:
    found = _VERSION.fullmatch(tag)
    return tuple(map(int, found.groups())) if found else None


def _bounds(selector: str) -> List[Callable[[Version], bool]]:
    return [_bound(each) for each in selector.split()]


def _bound(text: str) -> Callable[[Version], bool]:
    """A version that is not whole means all that begin so: `=1.2` and `<=1.2` take 1.2.9, `>1.2` does not."""
    found = _BOUND.fullmatch(text)
    if found is None:
        raise ValueError(text)
    sign, given = found[1], [int(each) for each in found.groups()[1:] if each is not None]
    low = (*given, 0, 0)[:3]
    after = _next(given)
    if sign == "^":  # the first number that is not 0 stays
        keep = next((index for index, each in enumerate(given) if each), len(given) - 1)
        after = _next(given[: keep + 1])
    elif sign == "~":
        after = _next(given[:2])
    return {
        ">=": lambda version: version >= low,
        ">": lambda version: version >= after,
        "<": lambda version: version < low,
        "<=": lambda version: version < after,
    }.get(sign, lambda version: low <= version < after)


def _next(numbers: List[int]) -> Version:
    """The first version behind all that begin with these numbers."""
    return (*numbers[:-1], numbers[-1] + 1, 0, 0)[:3]
