"""There is no room: in the unit's folder, in hostctl's own, at the start, half way, and on the way back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.faults.on_host.state import STATE
from tests.lab.faults.on_host.subjects import output
from tests.lab.faults.on_host.trial import NotSurvived, Trial

FULL = "No space left on device"


@contextmanager
def small(folder: Path, parts: tuple[str, ...] = (".",), view: str = "") -> Iterator[Callable[[], None]]:
    """The folder on a file system of its own, with the same content; yields what fills it to the last byte.

    `view`: a service that has its own view of the file system, which is made when it starts.
    """
    status = folder.stat()
    aside = Path("/run/http-registry-faults/aside")
    aside.mkdir(parents=True)
    for part in parts:
        if (folder / part).exists():
            subprocess.run(("cp", "-a", f"{folder}/{part}", aside), check=True)
    output("mount", "-t", "tmpfs", "-o", f"size=2m,mode={status.st_mode & 0o7777:o}", "tmpfs", str(folder))
    try:
        os.chown(folder, status.st_uid, status.st_gid)
        subprocess.run(("cp", "-a", f"{aside}/.", folder), check=True)
        if view:
            output("systemctl", "restart", f"{view}.service")
        yield lambda: _fill(folder)
    finally:
        output("umount", *(["--lazy"] if view else []), str(folder))  # it may hold a file there until it is restarted
        if view:
            output("systemctl", "restart", f"{view}.service")
        subprocess.run(("rm", "-rf", str(aside)), check=True)


def _fill(folder: Path) -> None:
    handle = os.open(folder / ".full", os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 16, 1):
            while True:
                os.write(handle, b"\0" * size)
    except OSError:
        _fill_rest(handle)
    finally:
        os.close(handle)


def _fill_rest(handle: int) -> None:
    try:
        while True:
            os.write(handle, b"\0" * 512)
    except OSError:
        pass


def no_room(trial: Trial) -> None:
    """In the unit's folder, and in hostctl's own: at once, for the record, and for the way back."""
    trial.reach("a")
    folder = Path(trial.subject.full) if trial.subject.full else None
    units = ("units", "journal")
    if folder:
        with trial.case("no room", f"{folder} is full"), small(folder) as fill:
            _refused_for_room(trial, fill, "")
        view = trial.subject.view
        with trial.case("no room", f"{folder} is full on the way back"), small(folder, view=view) as fill:
            _no_way_back(trial, folder, fill)
    with trial.case("no room", f"{STATE} is full"), small(STATE, units) as fill:
        _refused_for_room(trial, fill, "")
    with trial.case("no room", f"{STATE} is full once it swaps"), small(STATE, units) as fill:
        _refused_for_room(trial, fill, "check")
    with trial.case("no room", f"{STATE} is full when the record is written"), small(STATE, units) as fill:
        _refused_for_room(trial, fill, "commit")
    trial.reach("a")


def _refused_for_room(trial: Trial, fill: Callable[[], None], at: str) -> None:
    trial.expect(trial.ends["a"], "on another file system", exact=False)
    before = trial.seen()
    if not at:
        fill()
        before = trial.seen()
    _, (report, _) = trial.watched("b", lambda now: fill() if now == at else None)
    if report["result"] != "failed" or FULL not in report["error"] or not report["rolled_back"]:
        raise NotSurvived(f"without room: {report}")
    for each in (STATE, Path(trial.subject.full or STATE)):
        if at and (each / ".full").exists():
            (each / ".full").unlink()
    trial.expect(before, "without room")


def _no_way_back(trial: Trial, folder: Path, fill: Callable[[], None]) -> None:
    before = trial.ends["a"]
    trial.expect(before, "on another file system", exact=False)
    before = trial.seen()
    _, (report, _) = trial.watched("b", lambda now: fill() if now == "verify" else None, refuses=True)
    if report["result"] != "failed" or (report["rolled_back"] and not (folder / ".full").exists()):
        raise NotSurvived(f"without room for the way back: {report}")
    (folder / ".full").unlink()
    trial.recover()
    trial.expect(before, "with room again")
    trial.reach("b")
    trial.reach("a")
