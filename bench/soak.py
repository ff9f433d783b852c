"""`python -m bench.soak [--minutes 60]`: pulls, pushes, changes and clean-ups for an hour; `make soak`.

On two spare hosts of the lab, which has to be up (`make soak` sees to that). It fails where a program's memory or open
files grow (bench/growth.py says when), where a request is lost, or where an image that was pushed is not whole at the
end.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.growth import Growth, growth
from bench.hosts import ON_HOST
from bench.soak_site import CHECK, KEPT, LOOPS, SECRETS, SETTINGS, STACK, changes, indented, settings
from tests.checkout import on_the_lab
from tests.lab.hosts import must
from tests.lab.spare.site import REGISTRY, RUNTIME
from tests.lab.spare.two_hosts import TwoHosts, begun, client, ended, looping, push

USAGE = (ON_HOST / "usage.py").read_text()
EVERY = 5.0
"""Seconds between two samples, and between two changes at least."""
SLACK = {"memory": float(8 << 20), "files": 32.0}
PART = 500
"""Images: those of an hour at once took longer than the minute."""
COLLECT = 3
"""A clean-up after so many changes."""


class Sampled:
    """What the programs use, since when."""

    def __init__(self) -> None:
        self.samples: dict[tuple[str, str], list[tuple[float, float]]] = {}
        self.disk: list[int] = []
        self.failed = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Sample no more."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._over.wait(EVERY):
            try:
                said = json.loads(must(REGISTRY, "python3 -", USAGE))
            except (AssertionError, ValueError) as wrong:
                self.failed = str(wrong)
                continue
            self.disk.append(said["disk"])
            for program, used in said["programs"].items():
                for what, value in used.items():
                    self.samples.setdefault((program, what), []).append((time.monotonic() - began, float(value)))


def soak(two: TwoHosts, minutes: float, console: Console) -> tuple[Sampled, dict[str, dict[str, Any]], list[str]]:
    """The samples, what each loop told, and what went wrong with the changes."""
    ends, turn, wrong = time.monotonic() + minutes * 60, 0, []
    told: dict[str, dict[str, Any]] = {}
    sampled = Sampled()
    try:
        with ExitStack() as stack:
            for name, body in LOOPS.items():
                told[name] = stack.enter_context(looping(indented(body)))
            while time.monotonic() < ends:
                turn += 1
                began = time.monotonic()
                two.write(settings(turn))
                try:
                    two.make("up")
                    if turn % COLLECT == 0:
                        console.print(two.make("gc").strip().splitlines()[-1], markup=False)
                except AssertionError as failed:
                    wrong.append(str(failed)[-2000:])
                console.print(f"{turn}: {changes(turn)}, {time.monotonic() - began:.0f} s", markup=False)
                time.sleep(max(0.0, min(EVERY, ends - time.monotonic())))
    finally:
        sampled.end()
    return sampled, told, wrong


def lost_images(pushed: list[str]) -> list[str]:
    """Which of them can't be pulled whole by their digests. Asked for in parts: a host has a minute for each answer."""
    lost: list[str] = []
    file = must(RUNTIME, "mktemp").strip()
    for start in range(0, len(pushed), PART):
        must(RUNTIME, f"cat > {file}", json.dumps(pushed[start : start + PART]))
        lost += json.loads(must(RUNTIME, "python3 -", client(CHECK.replace("$file", file))))
    must(RUNTIME, f"rm {file}")
    return lost


def table(sampled: Sampled) -> tuple[Table, list[str]]:
    """A row for each program, and a line for each that grows."""
    shown = Table("program", "of", "median", "highest", "grown", "may grow")
    grows = []
    for (program, what), samples in sorted(sampled.samples.items()):
        seen = growth(samples, SLACK[what])
        shown.add_row(program, what, *(_shown(what, each) for each in (*seen[:3], seen.most)))
        if seen.grows:
            grows.append(_grows(program, what, seen))
    return shown, grows


def _grows(program: str, what: str, seen: Growth) -> str:
    return f"{program}: its {what} grow by {_shown(what, seen.grown)}, and {_shown(what, seen.most)} may be"


def _shown(what: str, value: float) -> str:
    return f"{value / 2**20:.1f} MiB" if what == "memory" else f"{value:.0f}"


def watched(sampled: Sampled, told: Mapping[str, Mapping[str, Any]], console: Console) -> list[str]:
    """Print what the loops did and the programs used; returns what is wrong with it."""
    shown, wrong = table(sampled)
    console.print(shown)
    counts = {what: len(each) for loop in told.values() for what, each in loop.items() if what != "lost"}
    console.print(", ".join(f"{what} {count}" for what, count in sorted(counts.items())), markup=False)
    console.print(f"disk: {sampled.disk[0] >> 20} MiB at first, {sampled.disk[-1] >> 20} at last", markup=False)
    wrong += [f"{name}: {why}" for name, each in told.items() for why in each["lost"]]
    return wrong + ([f"a sample failed: {sampled.failed}"] if sampled.failed else [])


def main(minutes: Annotated[float, typer.Option(help="How long.")] = 60) -> None:
    """See the module."""
    console = Console()
    console.width = console.width if console.is_terminal else 140
    with tempfile.TemporaryDirectory() as folder, on_the_lab(Path(folder)) as checkout:
        two = begun(checkout, STACK, SETTINGS)
        for key, value in SECRETS.items():
            checkout.secret(STACK, key, value)
        try:
            two.make("up")
            push("1")
            sampled, told, wrong = soak(two, minutes, console)
            wrong += watched(sampled, told, console)
            pushed = told["pushes"].get("pushed", [])
            wrong += [f"lost: {each}" for each in lost_images(pushed)]
        finally:
            ended(two)
            must("hub", f"rm -rf {KEPT}")
    for line in wrong:
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"{len(pushed)} images pushed, all whole" if not wrong else f"{len(wrong)} things are wrong")
    raise typer.Exit(1 if wrong else 0)


if __name__ == "__main__":
    typer.run(main)
