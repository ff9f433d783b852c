"""What is on the host now, as a value that two moments can be compared by; and work in a child that may die."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

STATE = Path("/var/lib/http-registry")
PASSING = re.compile(r"^\..*\.http-registry-(new|tmp)$")
"""The names of candidates and of writes on their way."""
SALTED = re.compile(rb"\$2[aby]\$\S+|(?<=default )[0-9a-f]{32}(?=;)")
"""A password's hash, which is another one each time that it is made, and the digest of those of nginx's users."""


class Entry(NamedTuple):
    """A file, folder or link. `alike`: the digest without what is random in it."""

    kind: str
    rights: str
    digest: str
    alike: str


@dataclass(frozen=True)
class Seen:
    """`files`: everything below a unit's folders, others' files too. `live`: what the running program shows."""

    files: dict[str, Entry]
    live: Any
    record: Any

    def other_than(self, wanted: Seen, exact: bool) -> str:
        """What differs from what was to be; empty where nothing does. `exact`: random parts too."""
        lines = []
        for path in sorted(self.files.keys() | wanted.files.keys()):
            here, there = self.files.get(path), wanted.files.get(path)
            if here != there and (exact or not alike(here, there)):
                lines.append(f"{path}: {here or 'is not there'}, not {there or 'gone'}")
        if self.live != wanted.live:
            lines.append(f"the running program shows {self.live}, not {wanted.live}")
        if self.record != wanted.record:
            lines.append(f"the record is {self.record}, not {wanted.record}")
        return "; ".join(lines)


def alike(one: Entry | None, other: Entry | None) -> bool:
    """Whether two are the same but for what is random in them."""
    if one is None or other is None:
        return one is other
    return (one.kind, one.rights, one.alike) == (other.kind, other.rights, other.alike)


def tree(roots: Iterable[str]) -> dict[str, Entry]:
    """Everything at and below the roots."""
    found: dict[str, Entry] = {}
    for root in map(Path, roots):
        for path in [root, *sorted(root.rglob("*"))] if os.path.lexists(root) else []:
            found[str(path)] = _entry(path)
    return found


def _entry(path: Path) -> Entry:
    status = path.lstat()
    rights = f"{stat.S_IMODE(status.st_mode):04o} {status.st_uid}:{status.st_gid}"
    if stat.S_ISLNK(status.st_mode):
        content = str(path.readlink()).encode()
        return Entry("link", "", content.decode(), content.decode())
    if stat.S_ISDIR(status.st_mode):
        return Entry("folder", rights, "", "")
    content = path.read_bytes()
    return Entry("file", rights, _digest(content), _digest(SALTED.sub(b"hash", content)))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def record(unit: str) -> Any:
    """Whose the unit's record is and of which files; its digests and times change from one apply to the next."""
    path = STATE / "units" / f"{unit}.json"
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    return {"owner": data["owner"], "files": sorted(data["files"])}


def journal(unit: str) -> Any:
    """The journal that a transaction has left, or None."""
    path = STATE / "journal" / f"{unit}.json"
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def in_child(work: Callable[[], Any]) -> tuple[int, Any]:
    """Do it in a child of its own; its exit code (negative: the signal), and what it returned, through JSON."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            os.write(writing, json.dumps(work()).encode())
            code = 0
        except BaseException as fault:
            os.write(writing, json.dumps(repr(fault)).encode())
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        _, status = os.waitpid(child, 0)
        os.set_blocking(answer.fileno(), False)  # a program that it started may hold the other end
        said = answer.read()
    return os.waitstatus_to_exitcode(status), json.loads(said) if said else None


def runs(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except OSError:
        return False


def until(found: Callable[[], str], patience: float) -> str:
    """Ask until there is no complaint; the last one after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        complaint = found()
        if not complaint or time.monotonic() > deadline:
            return complaint
        time.sleep(0.05)
