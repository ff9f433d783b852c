"""What is compared: a tool that makes a fleet's hosts as wanted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.fleet.groups import group, peaks
from bench.fleet.hosts import NAME, Fleet
from lab.process import LabError

FILES = ("/etc/containerd/config.toml", "/etc/containerd/certs.d/docker.io/hosts.toml")
"""What is wanted of a host."""
LIMIT = 1800
"""Seconds that one run may take."""


class Tool(Protocol):
    """`folder`: where its files are."""

    name: str
    folder: Path

    def prepare(self, fleet: Fleet) -> None:
        """Write down the hosts."""

    def want(self, port: int, texts: Mapping[str, str]) -> None:
        """Write down what they shall have: the mirror at that port; `texts`: their files then, by path."""

    def command(self) -> list[str]:
        """Makes the hosts so."""

    def environment(self) -> Mapping[str, str]:
        """What the command needs besides this process's."""


@dataclass(frozen=True)
class Cost:
    """Of one run. `seconds`: by the clock. `own`, `hosts`: processor seconds of the tool and of all hosts.

    `connections`: to sshd, of the host with the most. `memory`, `largest`: bytes at the peak, of all the tool's
    processes and of the largest.
    """

    seconds: float
    own: float
    hosts: float
    connections: int
    memory: int
    largest: int


def cost(tool: Tool, fleet: Fleet) -> Cost:
    """Run it once. Raises LabError where it fails."""
    before, spent = fleet.connections(), fleet.group.seconds()
    with group(f"{NAME}-{tool.name}") as its, peaks(its) as seen:
        began = os.times().elapsed
        done = subprocess.run(
            its.entering(tool.command()),
            cwd=tool.folder,
            env={**os.environ, **tool.environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=LIMIT,
        )
        seconds = os.times().elapsed - began
        own = its.seconds()
    if done.returncode:
        raise LabError(f"{tool.name} failed (exit {done.returncode}):\n{done.stdout[-4000:]}")
    (tool.folder / "last.log").write_text(done.stdout)
    made = fleet.connections() - before
    return Cost(seconds, own, fleet.group.seconds() - spent, max(made.values(), default=0), seen.whole, seen.largest)
