"""Reading a wish: each value with its type, or an error that names the key."""

from __future__ import annotations

import posixpath
from typing import Dict, List, Optional

from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.unit import OwnFile, Wish


def text(wish: Wish, key: str, default: Optional[str] = None) -> str:
    """A string that is not empty."""
    value = wish.get(key, default)
    if not isinstance(value, str) or not value:
        raise HostError(f"wish, {key}: must be a string that is not empty")
    return value


def texts(wish: Wish, key: str) -> List[str]:
    """A list of strings; empty where the wish has none."""
    value = wish.get(key) or []
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise HostError(f"wish, {key}: must be a list of strings")
    return value


def pairs(wish: Wish, key: str) -> Dict[str, str]:
    """Strings by name; empty where the wish has none."""
    value = wish.get(key) or {}
    if not isinstance(value, dict) or not all(isinstance(each, str) and each for each in value.values()):
        raise HostError(f"wish, {key}: must be strings by name")
    return value


def count(wish: Wish, key: str) -> Optional[int]:
    """A whole number above 0, or None."""
    value = wish.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise HostError(f"wish, {key}: must be a whole number above 0, or null")
    return value


def flag(wish: Wish, key: str) -> bool:
    """True or false; false where the wish does not say."""
    value = wish.get(key, False)
    if not isinstance(value, bool):
        raise HostError(f"wish, {key}: must be true or false")
    return value


def own_file(each: Wish) -> OwnFile:
    """A file as the controller rendered it: `path`, `content`, and `mode`, which is 0644 where it isn't said."""
    content = text(each, "content").encode()
    return OwnFile(text(each, "path"), FileState(content, count(each, "mode") or 0o644))


def is_below(path: str, folder: str) -> bool:
    """Whether the path stays in the folder, without any way out of it."""
    return posixpath.normpath(path) == path and path.startswith(f"{folder}/")
