"""What a dockerd leaves on the machine: firewall rules, kernel settings, cgroups; and how to take it back.

The state is noted before dockerd starts. Afterwards only what is new *and* Docker's is removed: a rule that
somebody else added in between stays.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import cgroups
from lab.hosts import NETWORKS
from lab.paths import lab_dir

FIREWALLS = ("iptables", "iptables-legacy", "ip6tables", "ip6tables-legacy")
SETTINGS = (
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/ipv6/conf/default/forwarding",
    "net/bridge/bridge-nf-call-iptables",
    "net/bridge/bridge-nf-call-ip6tables",
)
KERNEL = Path("/proc/sys")
BRIDGES = (network.bridge for network in NETWORKS)
ADDRESSES = (
    pattern
    for network in NETWORKS
    for pattern in (
        rf"(?<![\d.]){re.escape(network.gateway.removesuffix('1'))}\d",
        rf"(?<![\w:]){re.escape(network.subnet6.removesuffix('/64'))}",
    )
)
DOCKERS = re.compile("|".join((r"\bDOCKER", r"\bbr-[0-9a-f]{12}\b", *BRIDGES, *ADDRESSES)))
"""What only Docker's own rules mention: its chains, its bridges, and addresses in the lab's networks."""


@dataclass(frozen=True)
class Traces:
    """The state of the machine that Docker changes."""

    rules: Mapping[str, str]
    """Each firewall program's `-save` output."""
    settings: Mapping[str, str]
    """Kernel settings below /proc/sys."""
    cgroups: tuple[str, ...]
    """The folders at the top of each cgroup hierarchy."""


def file() -> Path:
    """Where the state before dockerd is kept while it runs."""
    return lab_dir() / "before.json"


def take() -> Traces:
    """The machine's state now."""
    rules = {}
    for program in FIREWALLS:
        if shutil.which(f"{program}-save"):
            done = subprocess.run([f"{program}-save"], check=False, capture_output=True, text=True)
            rules[program] = done.stdout if done.returncode == 0 else ""
    present = [name for name in SETTINGS if (KERNEL / name).exists()]
    settings = {name: (KERNEL / name).read_text().strip() for name in present}
    return Traces(rules, settings, tuple(sorted(str(path) for path in cgroups.top())))


def save(state: Traces) -> None:
    """Keep the state for `down`."""
    beside = file().with_suffix(".new")
    beside.write_text(json.dumps(asdict(state), indent=1))
    beside.replace(file())


def load() -> Traces:
    """The state that `save` kept."""
    kept = json.loads(file().read_text())
    return Traces(kept["rules"], kept["settings"], tuple(kept["cgroups"]))


def parse_rules(saved: str) -> dict[str, tuple[dict[str, str], list[str]]]:
    """An `iptables-save` text as {table: ({chain: policy}, [rule, …])}."""
    tables: dict[str, tuple[dict[str, str], list[str]]] = {}
    chains: dict[str, str] = {}
    rules: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            chains, rules = tables.setdefault(line[1:], ({}, []))
        elif line.startswith(":"):
            chain, policy = line[1:].split(" ")[:2]
            chains[chain] = policy
        elif line.startswith("-A "):
            rules.append(line)
    return tables


def undo(before: str, after: str) -> list[list[str]]:
    """The arguments of the iptables calls that remove what is Docker's in `after` and was not in `before`."""
    calls: list[list[str]] = []
    old = parse_rules(before)
    for table, (chains, rules) in parse_rules(after).items():
        old_chains, old_rules = old.get(table, ({}, []))
        added = Counter(rules) - Counter(old_rules)
        for rule in reversed(list(added.elements())):
            if DOCKERS.search(rule):
                calls.append(["-t", table, *_words(rule.replace("-A ", "-D ", 1))])
        new_chains = [chain for chain in chains if chain.startswith("DOCKER") and chain not in old_chains]
        calls += [["-t", table, action, chain] for action in ("-F", "-X") for chain in new_chains]
        was_open = old_chains.get("FORWARD", "ACCEPT") == "ACCEPT"
        if table == "filter" and was_open and chains.get("FORWARD") == "DROP":
            calls.append(["-t", table, "-P", "FORWARD", "ACCEPT"])
    return calls


def _words(rule: str) -> list[str]:
    return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', rule)]


def restore(before: Traces) -> None:
    """Take back what Docker changed since `before`."""
    now = take()
    for program, saved in now.rules.items():
        for call in undo(before.rules.get(program, ""), saved):
            subprocess.run([program, "--wait", *call], check=False, capture_output=True)
    for name, value in before.settings.items():
        if now.settings.get(name) != value:
            (KERNEL / name).write_text(value)
    for top in set(now.cgroups) - set(before.cgroups):
        cgroups.remove(Path(top))
