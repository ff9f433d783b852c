"""Our chains in the mangle table of one family: loaded and taken away in one step, and how they stand now.

`iptables-restore --noflush` commits all lines of its input or none; a chain that the input declares is emptied first.
`-S` is compared: `iptables-save` prints times and counters too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterable, List, Sequence, Set

from hostctl.errors import HostError
from hostctl.firewall_rules import alike
from hostctl.host import Host
from hostctl.iptables_rules import FILES, FORWARD_CHAIN, GUARD_CHAIN, PREROUTING_CHAIN
from hostctl.rule_table import WAIT, Count, Counters, Key

JUMPS = {"PREROUTING": PREROUTING_CHAIN, "FORWARD": FORWARD_CHAIN}
CHAINS = (PREROUTING_CHAIN, FORWARD_CHAIN, GUARD_CHAIN)


@dataclass(frozen=True)
class Table:
    """A `RuleTable`. `program`: iptables or ip6tables, or one of their variants, such as iptables-legacy."""

    host: Host
    program: str

    @property
    def path(self) -> str:
        """Where the rules of this table lie for the next boot."""
        return FILES[6 if self.program.startswith("ip6") else 4]

    @property
    def title(self) -> str:
        """The command that shows this table to a person."""
        return f"{self.program} -t mangle -S"

    def refuse(self, rules: str) -> None:
        """Raise HostError where the kernel would not take the rules."""
        done = self.host.run(f"{self.program}-restore", "--wait", WAIT, "--noflush", "--test", stdin=rules)
        if not done.ok:
            raise HostError(f"{self.program} does not accept the rules: {done.tail()}")

    def load(self, rules: str, counters: Counters) -> None:
        """Put the rules in place of ours, and the jumps to them before all other rules."""
        counted = (_counted(line, counters) for line in rules.splitlines() if line != "COMMIT")
        jumps = (line for chain in JUMPS for line in self._jump_first(chain))
        self._restore([*counted, *jumps, "COMMIT"])

    def clear(self) -> None:
        """Take our jumps and chains away."""
        jumps = [f"-D {chain} {number}" for chain in JUMPS for number in reversed(self._jumps(chain))]
        there = [chain for chain in CHAINS if f"-N {chain}" in self._listed()]
        lines = [*jumps, *(f"-F {chain}" for chain in there), *(f"-X {chain}" for chain in there)]
        if lines:
            self._restore(["*mangle", *lines, "COMMIT"])

    def ours(self) -> List[str]:
        """The jumps to our chains and the rules in them, as `-S` prints them."""
        return [line for line in self._listed() if any(word in CHAINS for word in line.split())]

    def counters(self) -> Counters:
        """What each rule of our chains has seen."""
        saved = self.host.must(f"{self.program}-save", "-c", "-t", "mangle")
        found = re.findall(r"^\[(\d+):(\d+)\] (-A .*)$", saved, re.MULTILINE)
        return {_key(line): Count(int(packets), int(octets)) for packets, octets, line in found}

    def published(self) -> Set[int]:
        """The TCP ports that the nat table sends elsewhere."""
        nat = self.host.run(self.program, "-w", WAIT, "-t", "nat", "-S")
        return set(map(int, re.findall(r"-p tcp .*--dport (\d+) .*-j DNAT", nat.output))) if nat.ok else set()

    def complaint(self, rules: str) -> str:
        """What differs from the rules and from jumps that stand first; empty where nothing does."""
        wished, found = _by_chain(rules.splitlines()), _by_chain(self._listed())
        for chain in CHAINS:
            if wished.get(chain) != found.get(chain):
                return f"{self.program}: the chain {chain} is not as it was wished; look at '{self.title}'"
        for chain in JUMPS:
            if self._jumps(chain) != [1]:
                return f"{self.program}: the jump to {JUMPS[chain]} is not the first rule of {chain}"
        return ""

    def remains(self) -> str:
        """What of ours is still there; empty where nothing is."""
        left = self.ours()
        return f"{self.program}: still there: {left[0]}" if left else ""

    def _jump_first(self, chain: str) -> List[str]:
        there = self._jumps(chain)
        if there == [1]:
            return []
        # In this order the chain is never without a jump, also where lines take effect one by one.
        return [f"-I {chain} 1 -j {JUMPS[chain]}", *(f"-D {chain} {number + 1}" for number in reversed(there))]

    def _jumps(self, chain: str) -> List[int]:
        rules = [line for line in self._listed() if line.startswith(f"-A {chain} ")]
        return [number for number, line in enumerate(rules, 1) if line.split()[-2:] == ["-j", JUMPS[chain]]]

    def _listed(self) -> Sequence[str]:
        return self.host.must(self.program, "-w", WAIT, "-t", "mangle", "-S").splitlines()

    def _restore(self, lines: Iterable[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        self.host.must(f"{self.program}-restore", "--wait", WAIT, "--noflush", "--counters", stdin=text)


def _key(line: str) -> Key:
    _, chain, *words = line.split()
    return (chain, *alike(words))


def _counted(line: str, counters: Counters) -> str:
    count = counters.get(_key(line)) if line.startswith("-A ") else None
    return f"[{count.packets}:{count.octets}] {line}" if count else line


def _by_chain(lines: Iterable[str]) -> Dict[str, List[Key]]:
    chains: Dict[str, List[Key]] = {}
    for line in lines:
        if line.startswith("-A "):
            chains.setdefault(line.split()[1], []).append(_key(line))
    return chains
