"""`python -m bench.start_up [STACK]`: how long a preview takes, and which of its processes takes it: docs/start-up.md.

Of a stack that is up, so that nothing changes; asks no host. Prints a table, writes nothing.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops.preview import preview_environment
from ops.stack import LAB, PROJECT, StackError, selected
from toolchain.engine import restore_interrupt
from toolchain.errors import EngineError

ROUNDS = 7
LOOKS = 0.01
"""Seconds between two looks at the processes; what one takes after the last look at it counts in the sum alone."""
PARTS = {
    "pulumi-language-python-exec": "the program",
    "resource-command": "plugin command",
    "resource-docker": "plugin docker",
    "-m pip": "the list of packages",
    "language_host/packages.py": "the list of packages",
    "pulumi-language-python": "the language host",
    "-m ops": "ops",
    "pulumi": "the engine",
}
"""What is in a process' command line, and what it is; the first that fits counts."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """One run: seconds by the clock, of the processors, and of these by part."""

    wall: float = 0.0
    processor: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)


def measured(command: Sequence[str], environment: dict[str, str]) -> Run:
    """Run a command that has to succeed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    seen: dict[int, tuple[str, float]] = {}
    while process.poll() is None:
        for pid in _below(process.pid):
            _look(pid, seen)
        time.sleep(LOOKS)
    if process.returncode != 0:
        raise StackError(f"{' '.join(command)} failed; its output above says why")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = Run(time.monotonic() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    for part, seconds in seen.values():
        run.parts[part] = run.parts.get(part, 0.0) + seconds
    return run


def _below(pid: int) -> list[int]:
    """A process and all that it has started."""
    try:
        threads = Path(f"/proc/{pid}/task").iterdir()
        children = [int(each) for thread in threads for each in (thread / "children").read_text().split()]
    except OSError:
        return []
    return [pid, *(each for child in children for each in _below(child))]


def _look(pid: int, seen: dict[int, tuple[str, float]]) -> None:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return
    part = next((part for text, part in PARTS.items() if text in words), "else")
    if not words and pid in seen:  # it has ended, and its parent has not yet asked for its status
        part = seen[pid][0]
    seen[pid] = part, (int(numbers[11]) + int(numbers[12])) / TICKS


def rows(name: str, runs: Sequence[Run]) -> list[str]:
    """Lines of the table: the command, then its parts."""

    def line(what: str, wall: Sequence[float], processor: Sequence[float]) -> str:
        clock = f"{min(wall):.2f} s | {statistics.median(wall):.2f} s" if wall else " | "
        return f"| {what} | {clock} | {min(processor):.2f} s | {statistics.median(processor):.2f} s |"

    found = [line(f"`{name}`", [each.wall for each in runs], [each.processor for each in runs])]
    for part in dict.fromkeys([*PARTS.values(), "else"]):
        if any(taken := [each.parts.get(part, 0.0) for each in runs]):
            found.append(line(f"- {part}", [], taken))
    return found


def main(stack: str = LAB) -> int:
    """Gives the exit status."""
    restore_interrupt()
    try:
        with selected(stack, asks_hosts=False) as chosen:
            environment = {**chosen.environment, **preview_environment(chosen.environment)}
            commands = {
                "pulumi preview": ["pulumi", "preview", "--stack", stack, "--non-interactive"],
                "make preview": ["make", "--no-print-directory", "preview", f"STACK={stack}"],
            }
            runs: dict[str, list[Run]] = {name: [] for name in commands}
            for _ in range(ROUNDS):
                for name, command in commands.items():
                    runs[name].append(measured(command, environment))
    except (StackError, EngineError) as wrong:
        print(f"bench: {wrong}", file=sys.stderr)
        return 1
    print(f"\n{ROUNDS} rounds, load {os.getloadavg()[0]:.1f} at their end\n")
    print("| | by the clock, least | median | processors, least | median |\n| --- | --- | --- | --- | --- |")
    for name, each in runs.items():
        print("\n".join(rows(name, each)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
