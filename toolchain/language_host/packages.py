"""Prints what `pip list -v --format json` says of names, versions and places, without the 0.4 s that pip takes.

From the folders `NAME-VERSION.dist-info` and `NAME.egg-info` on `sys.path`, which hold a file of headers each
(Core metadata specifications, packaging.python.org). Standard library only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

FILES = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}


def packages(path: Iterable[str]) -> Iterator[dict[str, str]]:
    """Each installed package, from the first folder of `path` that has it."""
    seen: set[str] = set()
    for folder in map(Path, path):
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            file = FILES.get(entry.suffix)
            if file and (found := _headers(entry / file)) and found["name"] not in seen:
                seen.add(found["name"])
                yield {**found, "location": str(folder)}


def _headers(file: Path) -> dict[str, str] | None:
    """Name and version; None where the file has none, as after an uninstall that was cut off."""
    found: dict[str, str] = {}
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                header, _, value = line.partition(":")
                if header in ("Name", "Version"):
                    found[header.lower()] = value.strip()
                if len(found) == 2 or not line.strip():
                    break
    except OSError:
        return None
    return found if len(found) == 2 else None


if __name__ == "__main__":
    print(json.dumps(list(packages(sys.path[1:]))))
