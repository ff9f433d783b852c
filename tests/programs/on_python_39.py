"""What a test has Python 3.9 do: `python3.9 on_python_39.py NAME`, a JSON job on stdin, a JSON answer on stdout."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any


def loaded(job: dict[str, Any]) -> list[int]:
    """Load `modules`, and say by which Python."""
    for each in job["modules"]:
        importlib.import_module(each)
    return list(sys.version_info[:2])


def merged(job: dict[str, Any]) -> list[Any]:
    """Each of `texts`, for each of `wishes` and each containerd: with our keys, and given back; or the error. Texts are
    bytes as latin-1."""
    from hostctl import containerd_toml
    from hostctl.containerd_versions import RELEASES
    from hostctl.errors import HostError

    found: list[Any] = []
    for text in job["texts"]:
        for wish in job["wishes"]:
            logins = tuple(containerd_toml.RegistryLogin(*each) for each in wish.get("logins", ()))
            wanted = containerd_toml.Wanted(**{**wish, "logins": logins})
            for release in RELEASES:
                try:
                    ours, known = containerd_toml.merge(text.encode("latin-1"), wanted, release)
                    theirs, notes = containerd_toml.unmerge(ours, known)
                    texts = [None if each is None else each.decode("latin-1") for each in (ours, theirs)]
                    found.append([*texts, known, notes])
                except HostError as refused:
                    found.append(str(refused))
    return found


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    sys.path[:0] = asked["path"]
    json.dump({"loaded": loaded, "merged": merged}[sys.argv[1]](asked), sys.stdout)
