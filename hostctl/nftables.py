"""Our own nftables table, for both families: loaded and taken away in one step, and how it stands now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator, List, Optional, Set, Tuple

from hostctl.errors import HostError
from hostctl.firewall_rules import alike
from hostctl.host import Host
from hostctl.nftables_rules import CLEARED, FILE, PRIORITY, TABLE
from hostctl.rule_table import Count, Counters, Key

COUNTER = re.compile(r" ?\bcounter(?: packets (\d+) bytes (\d+))?")
CHAIN = re.compile(r"\s*chain (\S+) \{")


@dataclass(frozen=True)
class NftTable:
    """A `RuleTable`."""

    host: Host

    @property
    def path(self) -> str:
        """Where the table's script lies for the next boot."""
        return FILE

    @property
    def title(self) -> str:
        """The command that shows the table to a person."""
        return f"nft list table {TABLE}"

    def refuse(self, rules: str) -> None:
        """Raise HostError where the kernel would not take the rules."""
        done = self.host.run("nft", "--check", "-f", "-", stdin=rules)
        if not done.ok:
            raise HostError(f"nft does not accept the rules: {done.tail()}")

    def load(self, rules: str, counters: Counters) -> None:
        """Put the rules in place of ours."""
        self.host.must("nft", "-f", "-", stdin=_counted(rules, counters))

    def clear(self) -> None:
        """Take the table away."""
        if self._listed():
            self.host.must("nft", "-f", "-", stdin=CLEARED)

    def ours(self) -> List[str]:
        """The table as `nft list` prints it, without counters."""
        return [COUNTER.sub("", line) for line in self._listed().splitlines()]

    def counters(self) -> Counters:
        """What each of our rules has seen."""
        return {key: count for key, count in _rules(self._listed()) if count}

    def published(self) -> Set[int]:
        """The TCP ports that any table sends elsewhere."""
        listed = self.host.run("nft", "list", "ruleset")
        ports = re.findall(r"tcp dport (\d+|\{[\d, ]+\}) .*dnat", listed.output) if listed.ok else []
        return {int(port) for each in ports for port in re.findall(r"\d+", each)}

    def complaint(self, rules: str) -> str:
        """What differs from the rules; empty where nothing does."""
        wished, found = ([key for key, _ in _rules(text)] for text in (rules, self._listed()))
        for chain in dict.fromkeys(key[0] for key in wished):
            if [key for key in wished if key[0] == chain] != [key for key in found if key[0] == chain]:
                return f"nft: the chain {chain} is not as it was wished; look at '{self.title}'"
        return "" if len(found) == len(wished) else f"nft: there are more chains than wished; look at '{self.title}'"

    def remains(self) -> str:
        """What of ours is still there; empty where nothing is."""
        return f"nft: still there: table {TABLE}" if self._listed() else ""

    def _listed(self) -> str:
        listed = self.host.run("nft", "list", "table", *TABLE.split())
        return listed.output if listed.ok else ""


def _rules(text: str) -> Iterator[Tuple[Key, Optional[Count]]]:
    """The rules of each chain, and what they have counted where it is printed. A chain's hook counts as a rule."""
    chain = ""
    for line in text.splitlines():
        begins = CHAIN.match(line)
        if begins:
            chain = begins[1]
        elif line.strip() == "}":
            chain = ""
        elif chain and line.strip():
            yield _key(chain, line), _count(line)


def _key(chain: str, line: str) -> Key:
    """Versions print a well-known priority as a name."""
    named = COUNTER.sub("", line).replace("priority mangle;", f"priority {PRIORITY};")
    return (chain, *alike(re.findall(r"[^\s{},]+", named)))


def _count(line: str) -> Optional[Count]:
    found = COUNTER.search(line)
    return Count(int(found[1]), int(found[2])) if found and found[1] else None


def _counted(rules: str, counters: Counters) -> str:
    """The script with what its rules have counted so far."""
    chain, lines = "", []
    for line in rules.splitlines():
        begins = CHAIN.match(line)
        chain = begins[1] if begins else chain
        count = counters.get(_key(chain, line)) if COUNTER.search(line) else None
        seen = f" counter packets {count.packets} bytes {count.octets}" if count else ""
        lines.append(COUNTER.sub(seen, line) if count else line)
    return "\n".join(lines) + "\n"
