"""`python -m fuzz [--target NAME] [--seconds 600]`: all targets and properties, two at a time, and a table."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from fuzz.all_targets import all_properties, all_targets

PROJECT = Path(__file__).parents[1]
WORK = PROJECT / ".work" / "fuzz"
START = 180
"""Seconds that a run may take to begin and to end."""


class Job(NamedTuple):
    """A target or a property, by its name."""

    name: str
    module: str
    command: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where it keeps its corpus and what it finds."""
        return WORK / self.name


def jobs() -> list[Job]:
    """All that there are."""
    found = [Job(name, module, ("fuzz.worker", module, name)) for name, (module, _) in all_targets().items()]
    for name, (module, test) in all_properties().items():
        found.append(Job(name, module, ("fuzz.property", module, test.__name__)))
    return found


class Running:
    """The processes of now, so that an interrupt ends them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: list[subprocess.Popen[bytes]] = []
        self.over = False

    def run(self, job: Job, seconds: int, console: Console) -> dict[str, Any]:
        """One job to its end; what it has seen."""
        job.folder.mkdir(parents=True, exist_ok=True)
        (job.folder / "seen.json").unlink(missing_ok=True)
        for each in job.folder.glob("ended-*"):
            each.unlink()
        with (job.folder / "log").open("wb") as log:
            command = [sys.executable, "-m", *job.command, str(job.folder), str(seconds)]
            with self._lock:
                if self.over:
                    return {"findings": {}}
                process = subprocess.Popen(command, cwd=PROJECT, stdout=log, stderr=subprocess.STDOUT)
                self._now.append(process)
            try:
                process.wait(seconds + START)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        seen = _seen(job, process.returncode)
        for name, said in seen["findings"].items():
            console.print(f"{job.name}: {name}: {said}", markup=False, soft_wrap=True)
        return seen

    def end(self) -> None:
        """Start nothing more, stop what runs."""
        with self._lock:
            self.over = True
            for each in self._now:
                if each.poll() is None:
                    each.terminate()


def _seen(job: Job, status: int) -> dict[str, Any]:
    try:
        seen: dict[str, Any] = json.loads((job.folder / "seen.json").read_text())
    except (OSError, ValueError):
        seen = {"findings": {}}
    ended = sorted(each.name for each in job.folder.glob("ended-*"))
    if status != 0 or ended or "inputs" not in seen:
        last = (job.folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
        seen["findings"]["ended"] = f"status {status}: {', '.join([*ended, *last]) or 'without a word'}"
    return seen


def table(seen: dict[str, dict[str, Any]]) -> Table:
    """What was seen, a row for each."""
    shown = Table("target", "inputs", "seconds", "slowest", "memory", "findings")
    for name, each in sorted(seen.items()):
        slowest = each.get("slowest")
        shown.add_row(
            name,
            f"{each.get('inputs', 0):,}",
            f"{each.get('seconds', 0):g}",
            "" if slowest is None else f"{slowest * 1000:.0f} ms",
            f"{each.get('memory', 0)} MB",
            ", ".join(each["findings"]) or "none",
        )
    return shown


def main(
    target: Annotated[str, typer.Option(help="One of the names in the table; all if absent.")] = "",
    seconds: Annotated[int, typer.Option(help="How long each may take.")] = 600,
    at_once: Annotated[int, typer.Option(help="How many run at a time.")] = 2,
) -> None:
    """Feed every parser of foreign text; what is found is kept in .work/fuzz/TARGET/found."""
    console = Console()
    console.width = console.width if console.is_terminal else 160
    every = jobs()
    chosen = [each for each in every if target in ("", each.name)]
    if not chosen:
        raise typer.BadParameter(f"there is none of that name; there are {', '.join(each.name for each in every)}")
    running, seen, began = Running(), {}, time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.nice(10)
    with ThreadPoolExecutor(at_once) as pool:
        asked = {each.name: pool.submit(running.run, each, seconds, console) for each in chosen}
        try:
            for name, each in asked.items():
                seen[name] = each.result()
        except KeyboardInterrupt:
            running.end()
            raise typer.Exit(130) from None
    console.print(table(seen))
    findings = sum(len(each["findings"]) for each in seen.values())
    console.print(f"{len(seen)} targets, {findings} findings, {time.monotonic() - began:.0f} s")
    raise typer.Exit(1 if findings else 0)


if __name__ == "__main__":
    typer.run(main)
