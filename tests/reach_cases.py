"""Rule sets and who reaches what through them: data for the unit tests and, with real packets, for the programs tier.

A case is a folder. `iptables.v4`, `.v6` (loaded by iptables-nft), `legacy.v4`, `.v6` and `rules.nft` are its rules;
`rules.json` and `rules.txt` what `nft -j list ruleset` and `nft -a -s list ruleset` print of them; `printed.v4` what
iptables-nft-save prints where that is not what was loaded. `expect.yaml` has the questions: names are those of PLACES,
`rule` is "by table chain number" (0: the policy), `arrives` where the packet comes to; `unasked` says why no real
connection can show it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).parent / "cases" / "reach"
PLACES = {
    "host": "10.9.1.1",
    "friend": "10.9.1.2",
    "gateway": "10.9.2.1",
    "stranger": "10.9.2.2",
    "bridge": "172.29.0.1",
    "container": "172.29.0.2",
    "loopback": "127.0.0.1",
    "host6": "fd09:1::1",
    "friend6": "fd09:1::2",
    "gateway6": "fd09:2::1",
    "stranger6": "fd09:2::2",
}
INTERFACES = {"lan0": ("host", "host6"), "lan1": ("gateway", "gateway6"), "docker0": ("bridge",), "lo": ("loopback",)}
"""The host's own; a neighbour is behind the one whose network it is in."""
LISTENING = ((5080, ""), (5081, "host"), (5082, "host6"), (5083, "loopback"))
"""The host's sockets: the port, and the place, empty for all of both families."""
IN_CONTAINER = (80, 81)


@dataclass(frozen=True)
class Expected:
    """One question and its answer."""

    source: str
    to: str
    port: int
    verdict: str
    rule: str
    arrives: str
    unasked: str


def case_folders() -> list[Path]:
    """All cases."""
    return sorted(each for each in CASES.iterdir() if each.is_dir())


def expected(case: Path) -> Iterator[Expected]:
    """A case's questions."""
    entries: list[dict[str, Any]] = yaml.safe_load((case / "expect.yaml").read_text())
    for each in entries:
        yield Expected(
            PLACES[each["from"]],
            PLACES[each["to"]],
            each["port"],
            each["verdict"],
            each.get("rule", ""),
            _place(each.get("arrives", f"{each['to']} {each['port']}")),
            each.get("unasked", ""),
        )


def _place(text: str) -> str:
    name, port = text.split()
    return f"{PLACES[name]} {port}"


def told(report: dict[str, Any]) -> str:
    """The rule of a report, as `expect.yaml` has it."""
    rule = report["rule"]
    return f"{rule['by']} {rule['table']} {rule['chain']} {rule['number']}" if rule else ""


def text(case: Path, name: str) -> str:
    """A file of a case; empty where it has none."""
    file = case / name
    return file.read_text() if file.exists() else ""
