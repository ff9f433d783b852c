"""What somebody has changed of our keys in a TOML file. Pure text work."""

from __future__ import annotations

from typing import Any, Iterable, List, Mapping

from hostctl import toml_text
from hostctl.difference import Difference


def differences(document: Mapping[str, Any], keys: Iterable[Mapping[str, Any]]) -> List[Difference]:
    """Which keys are gone or have another value.

    Each key: `path`, and what was `set` there; of a list, the items `added` where others have their own in it.
    """
    found = []
    for key in keys:
        path, wanted = key["path"], key.get("added", key["set"])
        now = (toml_text.find(document, path[:-1]) or {}).get(path[-1])
        kept = all(each in now for each in wanted) if "added" in key and isinstance(now, list) else now == key["set"]
        if not kept:
            found.append(Difference(toml_text.dotted(path), wanted, now))
    return found
