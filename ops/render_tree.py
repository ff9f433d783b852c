"""What was rendered for a machine, in a folder: `tree` with its files, `files.json` with all that a tree can't hold."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops.render_files import Placed, Rendered
from ops.stack import StackError

TREE, FILES, CLOUD_INIT = "tree", "files.json", "cloud-init.yaml"
GITIGNORE = "*\n"


def write(folder: Path, rendered: Rendered, cloud_init: str, more: Mapping[str, Any]) -> None:
    """Replace what an earlier rendering has left there. Only the owner can enter the folder, and git passes it by.

    As root, files have their owners where the numbers are known. Raises StackError for a folder with anything else.
    """
    _cleared(folder)
    (folder / ".gitignore").write_text(GITIGNORE)
    tree = folder / TREE
    tree.mkdir()
    for each in rendered.folders:
        _below(tree, each.path).mkdir(parents=True, exist_ok=True)
        _below(tree, each.path).chmod(each.mode)
    for file in rendered.files:
        _put(_below(tree, file.path), file)
    for path, target in rendered.links.items():
        link = _below(tree, path)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    _private(folder / FILES, json.dumps({**more, **described(rendered)}, indent=1) + "\n")
    _private(folder / CLOUD_INIT, cloud_init)


def described(rendered: Rendered) -> dict[str, Any]:
    """Everything but the contents."""
    return {
        "files": [_line(each) for each in rendered.files],
        "folders": [
            {"path": each.path, "mode": f"{each.mode:04o}", "owner": each.owner, "group": each.group}
            for each in rendered.folders
        ],
        "links": dict(rendered.links),
        "commands": [list(each) for each in rendered.commands],
        "services": list(rendered.services),
        "containers": list(rendered.containers),
        "notes": list(rendered.notes),
    }


def _line(each: Placed) -> dict[str, Any]:
    return {
        "path": each.path,
        "mode": f"{each.mode:04o}",
        "owner": each.owner,
        "group": each.group,
        "sha256": hashlib.sha256(each.content).hexdigest(),
        "unit": each.unit,
        **({"added": True} if each.added else {}),
    }


def _cleared(folder: Path) -> None:
    there: Sequence[str] = sorted(each.name for each in folder.iterdir()) if folder.exists() else ()
    if there and FILES not in there:
        raise StackError(f"OUT={folder}: holds {there[0]}, which no rendering has made; name an empty folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    if (folder / TREE).exists():
        shutil.rmtree(folder / TREE)
    for name in (FILES, CLOUD_INIT):
        (folder / name).unlink(missing_ok=True)


def _below(tree: Path, path: str) -> Path:
    return tree / path.lstrip("/")


def _put(path: Path, file: Placed) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _private(path, file.content)
    if file.numbers and os.geteuid() == 0:
        os.chown(path, *file.numbers)
    path.chmod(file.mode)


def _private(path: Path, content: str | bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
