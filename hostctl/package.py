"""Makes the one file that travels to the hosts: hostctl and tomlkit as a zip that `python3` runs.

The same sources give the same bytes, so that its hash can name it. Runs on the controller and is not in the file.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Dict, Mapping, Optional

import tomlkit

from hostctl.whole_file import write_whole

HERE = Path(__file__).resolve().parent
MAIN = b"""import sys

from hostctl import compiled

kept = compiled.installed(sys.path[0])

from hostctl.__main__ import main

status = main(sys.argv[1:])
kept.keep()
sys.exit(status)
"""
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def build(target: Path) -> str:
    """Write the zipapp to `target`; returns its SHA-256 in hex."""
    content = archive()
    write_whole(target, content)
    return hashlib.sha256(content).hexdigest()


def archive() -> bytes:
    """The zipapp's bytes."""
    return archive_of({"__main__.py": MAIN, **library_members()})


def archive_of(contents: Mapping[str, bytes]) -> bytes:
    """A zip of these files; the same ones give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.compress_type = zipfile.ZIP_STORED  # what deflate makes differs between builds of zlib
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            file.writestr(entry, content)
    return buffer.getvalue()


def library_members() -> Dict[str, bytes]:
    """hostctl and tomlkit, as they lie in a zip."""
    library = Path(tomlkit.__file__).resolve().parent
    return {**members("hostctl", HERE, without=Path(__file__).resolve()), **members("tomlkit", library)}


def members(package: str, folder: Path, *, without: Optional[Path] = None) -> Dict[str, bytes]:
    """A package's modules as they lie in a zip."""
    return {
        f"{package}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*.py")
        if path != without
    }
