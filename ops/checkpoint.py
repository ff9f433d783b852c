"""The file backend's checkpoint of a stack, mended where a kill or a power cut has left it unreadable.

The checkpoint itself is renamed into place, and a copy of the one before stands beside it (.bak). The file of
attributes that goes with each is not: gocloud.dev's fileblob writes it in place, and an empty one makes pulumi say
"failed to load checkpoint: EOF".
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

PROJECT_NAME = "http-registry"


def mend(backend: str, stack: str) -> None:
    """Make the stack's checkpoint readable again; without damage this does nothing. `backend` is its URL.

    Attributes that can't be read go, since nobody needs them. A checkpoint that can't be read is replaced by the one
    before; what is missing there is found again like after any crash.
    """
    folder = local_folder(backend)
    if folder is None:
        return
    checkpoint = folder / "stacks" / PROJECT_NAME / f"{stack}.json"
    before = checkpoint.with_name(f"{checkpoint.name}.bak")
    for file in (checkpoint, before):
        attributes = file.with_name(f"{file.name}.attrs")
        if attributes.exists() and not _readable(attributes):
            attributes.unlink()
    if checkpoint.exists() and not _readable(checkpoint):
        print(f"{stack}'s state can't be read: going on with the one before it.", flush=True)
        if _readable(before):
            os.replace(before, checkpoint)
        else:
            checkpoint.unlink()


def exists(backend: str, stack: str) -> bool:
    """Whether the stack is seen to be in a backend that is a folder of this machine; others must be asked."""
    folder = local_folder(backend)
    return folder is not None and (folder / "stacks" / PROJECT_NAME / f"{stack}.json").exists()


def local_folder(backend: str) -> Path | None:
    """The folder of pulumi's files in a backend that is a folder of this machine, or None."""
    url = urlsplit(backend)
    return Path(url.path, ".pulumi") if url.scheme == "file" else None


def _readable(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return True
