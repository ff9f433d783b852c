"""Each tool on hosts that are fresh: a first up, a line of one file changed, nothing changed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.fleet.hosts import Fleet, fleet
from bench.fleet.ours import Ours
from bench.fleet.rivals import Ansible, Pyinfra
from bench.fleet.tool import FILES, Cost, Tool, cost
from lab.cache import cached, entry
from lab.process import LabError, run
from lab.progress import step
from ops import ssh_agent

REQUIREMENTS = Path(__file__).parents[1] / "requirements-fleet.txt"
STEPS = {"first up": 5080, "one line changed": 5081, "nothing changed": 5081}
"""Each with the mirror's port that is wanted then."""
TOOLS: Mapping[str, Callable[[Path, Path, str], Tool]] = {
    "ours": lambda folder, _, agent: Ours(folder, agent),
    "pyinfra": Pyinfra,
    "ansible": Ansible,
    "ansible, facts gathered": lambda folder, programs, agent: Ansible(folder, programs, agent, facts=True),
}
Texts = Mapping[str, str]
"""The text of each file, by its path."""


@dataclass(frozen=True)
class Measured:
    """What one step has cost."""

    tool: str
    hosts: int
    step: str
    cost: Cost


def measured(tools: list[str], count: int, wanted: dict[int, Texts]) -> Iterator[Measured]:
    """The tools one after the other, ours first: `wanted` is what it makes of the hosts, and what the others copy.

    Raises LabError where a tool fails, or does not make the hosts what ours makes them.
    """
    programs = _programs()
    for name in tools:
        with (
            tempfile.TemporaryDirectory(prefix="fleet-") as folder,
            fleet(count) as hosts,
            ssh_agent.holding(hosts.key) as agent,
        ):
            tool = TOOLS[name](Path(folder) / "project", programs, agent)
            tool.prepare(hosts)
            for each, port in STEPS.items():
                tool.want(port, wanted.get(port, {}))
                yield Measured(name, count, each, cost(tool, hosts))
                found = _texts(hosts)
                if wanted.setdefault(port, found) != found:
                    raise LabError(f"{name}, {each}: the hosts' files are not what ours makes them: {found}")


def _texts(hosts: Fleet) -> Texts:
    """The files, the same on every host."""
    found = {path: {each.text(path) for each in hosts.hosts} for path in FILES}
    differing = [path for path, texts in found.items() if len(texts) > 1 or not all(texts)]
    if differing:
        raise LabError(f"not every host has the same {', '.join(differing)}")
    return {path: texts.pop() for path, texts in found.items()}


def _programs() -> Path:
    """Where ansible and pyinfra are."""
    # A venv can't be moved, so it is made where it stays.
    folder = cached(entry("fleet-tools", [REQUIREMENTS]), lambda _: None)
    if not (folder / "bin" / "pyinfra").exists():
        with step("installing ansible and pyinfra"):
            run(["python3", "-m", "venv", "--clear", str(folder)], what="making a venv")
            pip = [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", "-r", str(REQUIREMENTS)]
            run(pip, what="installing ansible and pyinfra")
    return folder / "bin"
