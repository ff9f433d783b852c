"""`python -m ops.tiers`: every check of the project, tier by tier, and where the time went; `make test` calls it.

A tier that fails does not stop the others, but those that need what it makes; what was not run is said and fails too.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from lab import lab_id
from ops.stack import PROJECT

PYTEST = (sys.executable, "-m", "pytest", "-q", "--no-skips", "--durations=12", "--durations-min=5")
BOTH = ("-n", "2", "--dist", "loadfile")
"""Two processes; the tests of a file stay in one, with what they share."""
OPS = (sys.executable, "-m", "ops")


@dataclass(frozen=True)
class Tier:
    """Commands that run one after the other, until one fails."""

    name: str
    what: str
    commands: Sequence[Sequence[str]]
    needs: Sequence[str] = ()
    """The tiers without which this one can't run."""


TIERS = (
    Tier(
        "lint",
        "format, lint and types",
        # A program is called __main__, so mypy takes one at a time.
        (("ruff", "format", "--check", "."), ("ruff", "check", "."), ("mypy",), ("mypy", "examples/app-infra")),
    ),
    Tier("engine", "pulumi and its plugins, built where they can't be had", ((sys.executable, "-m", "toolchain"),)),
    Tier(
        "hosts",
        "the lab's hosts, made anew: an earlier run may have been cut off",
        (("lab/down",), ("lab/up",)),
    ),
    Tier("unit", "without root, host or engine", ((*PYTEST, "-n", "2", "tests/unit"),), needs=("hosts",)),
    Tier("programs", "this machine's nginx and iptables", ((*PYTEST, *BOTH, "tests/programs"),), needs=("hosts",)),
    Tier("preview", "pulumi, without a host", ((*PYTEST, *BOTH, "tests/preview"),), needs=("engine", "hosts")),
    Tier("up", "make up, and its proof", ((*OPS, "up"),), needs=("engine", "hosts")),
    Tier(
        "lab",
        "real hosts: the stack and the plugins, and beside them stacks of tests on hosts of their own",
        ((*PYTEST, "-n", "2", "tests/lab"),),
        needs=("up",),
    ),
)
LAB_DOWN = Tier("down", "the lab, stopped again without a trace", (("lab/down",), (*PYTEST, "tests/down")))


def main() -> int:
    """Run every tier; gives the exit status."""
    results: dict[str, str] = {}
    seconds: dict[str, float] = {}
    tiers = TIERS if lab_id() else (*TIERS, LAB_DOWN)
    for tier in tiers:
        began = time.monotonic()
        missing = [name for name in tier.needs if results.get(name) != "passed"]
        print(f"\n=== {tier.name}: {tier.what}", flush=True)
        results[tier.name] = f"not run: {', '.join(missing)} failed" if missing else _run(tier)
        seconds[tier.name] = time.monotonic() - began
    table = Table("tier", "result", "seconds", title="make test")
    for tier in tiers:
        table.add_row(tier.name, results[tier.name], f"{seconds[tier.name]:.0f}")
    table.add_row("all", "", f"{sum(seconds.values()):.0f}")
    Console().print(table)
    return 0 if set(results.values()) == {"passed"} else 1


def _run(tier: Tier) -> str:
    for command in tier.commands:
        done = subprocess.run(command, cwd=PROJECT, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            return f"failed: {' '.join(command).removeprefix(sys.executable).strip()}"
    return "passed"


if __name__ == "__main__":
    sys.exit(main())
