"""What Python compiles of the zipapp is kept beside it: from a zip it compiles anew at each call, a third of the call.

The file is for one Python and one zipapp, and worth nothing: whatever is wrong with it, the sources count.
"""

from __future__ import annotations

import marshal
import os
import sys
import zipimport
import zlib
from types import CodeType
from typing import Any, Dict, Optional

SUFFIX = ".compiled"
BROKEN = (EOFError, OSError, TypeError, ValueError, zlib.error)


class Kept:
    """The compiled modules of the zipapp `archive`, by name, from calls before and from this one."""

    def __init__(self, archive: str) -> None:
        self.archive = archive
        self.path = archive + SUFFIX
        self.modules: Dict[str, bytes] = {}
        self.new = False

    def load(self) -> None:
        """Take what is there, if it is of this Python and of this zipapp, and whole."""
        try:
            with open(self.path, "rb") as file:
                told, check, packed = marshal.load(file)  # noqa: S302 - ours, in a folder that is root's alone
            if told == self._of() and check == zlib.crc32(packed):
                self.modules = marshal.loads(packed)  # noqa: S302
        except BROKEN:
            self.modules = {}

    def keep(self) -> None:
        """Replace the file where this call had to compile something; nothing where that can't be done."""
        if not self.new:
            return
        beside = f"{self.path}.{os.getpid()}"
        try:
            packed = marshal.dumps(self.modules)
            told = self._of()  # raises where the zipapp has been removed meanwhile, with all else
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as file:
                marshal.dump((told, zlib.crc32(packed), packed), file)
            os.replace(beside, self.path)
        except BROKEN:
            return

    def code(self, name: str, compile_it: Any) -> CodeType:
        """A module's code."""
        kept = self.modules.get(name)
        code: Optional[CodeType] = None if kept is None else marshal.loads(kept)  # noqa: S302
        if code is None:
            code = compile_it(name)
            self.modules[name] = marshal.dumps(code)
            self.new = True
        return code

    def _of(self) -> tuple[str, int, int]:
        found = os.stat(self.archive)  # noqa: PTH116 - pathlib is not loaded yet
        return sys.version, found.st_size, found.st_mtime_ns


def installed(archive: str) -> Kept:
    """Have modules of the zipapp come from what is kept. Python 3.9 asks no importer for code."""
    kept = Kept(archive)
    if sys.version_info < (3, 10):
        return kept
    kept.load()

    class Importer(zipimport.zipimporter):
        def get_filename(self, fullname: str) -> str:
            # The one of zipimport compiles the module to know it.
            inside = self.archive + os.sep + self.prefix + fullname.rpartition(".")[2]
            return f"{inside}{os.sep}__init__.py" if self.is_package(fullname) else f"{inside}.py"

        def get_code(self, fullname: str) -> CodeType:
            return kept.code(fullname, super().get_code)

    def hook(path: str) -> Importer:
        if path != archive and not path.startswith(archive + os.sep):
            raise ImportError
        return Importer(path)

    sys.path_hooks.insert(0, hook)
    for path in [each for each in sys.path_importer_cache if each.startswith(archive)]:
        del sys.path_importer_cache[path]
    return kept
