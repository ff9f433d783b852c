"""Our chains in the mangle table of one family: loaded and taken away in one step, and how they stand now.

A rule set is rendered without knowing the host; `for_host` adds what only the host knows.

`iptables-restore --noflush` commits all lines of its input or none; a chain that the input declares is emptied first.
`-S` is compared, never `iptables-save`: that prints times and counters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterable, List, Sequence, Set

from hostctl.errors import HostError
from hostctl.host import Host

PREROUTING, FORWARD = "PREROUTING", "FORWARD"
PREROUTING_CHAIN, GUARD_CHAIN, FORWARD_CHAIN = "HTTP-REGISTRY", "HTTP-REGISTRY-GUARD", "HTTP-REGISTRY-FORWARD"
JUMPS = {PREROUTING: PREROUTING_CHAIN, FORWARD: FORWARD_CHAIN}
CHAINS = (PREROUTING_CHAIN, FORWARD_CHAIN, GUARD_CHAIN)
RULES = {"iptables": "/etc/http-registry/firewall.v4", "ip6tables": "/etc/http-registry/firewall.v6"}
"""The rule sets' files, by the program that reads them."""
BOOT_UNIT = "http-registry-firewall.service"
DOCKER_BRIDGES = ("docker+", "br-+")
"""docker0, docker_gwbridge, and br- with a network's id. With a plus: every interface whose name starts so."""
PORTS_IN_A_RULE = 15
"""The multiport match takes no more."""
WAIT = "60"
"""Seconds to wait for the lock that dockerd's own calls hold."""


def port_rules(ports: Sequence[int]) -> List[str]:
    """Who asks the host for one of these ports meets the guard."""
    starts = range(0, len(ports), PORTS_IN_A_RULE)
    lists = (",".join(map(str, ports[start : start + PORTS_IN_A_RULE])) for start in starts)
    guard = f"-m addrtype --dst-type LOCAL -j {GUARD_CHAIN}"
    return [f"-A {PREROUTING_CHAIN} -p tcp -m multiport --dports {each} {guard}" for each in lists]


def bridge_rules(others: Sequence[str] = ()) -> List[str]:
    """Only Docker's bridges open connections into Docker's bridges, and theirs go anywhere.

    `others` are named like Docker's and are not: whatever goes there is left alone, and from there is outside.
    """
    return [
        *(f"-A {FORWARD_CHAIN} -o {each} -j RETURN" for each in others),
        *(f"-A {FORWARD_CHAIN} -i {each} -o {bridge} -j DROP" for each in others for bridge in DOCKER_BRIDGES),
        *(f"-A {FORWARD_CHAIN} -i {bridge} -j RETURN" for bridge in DOCKER_BRIDGES),
        *(f"-A {FORWARD_CHAIN} -o {bridge} -j DROP" for bridge in DOCKER_BRIDGES),
    ]


def for_host(rules: str, ports: Sequence[int], others: Sequence[str]) -> str:
    """A rendered rule set that guards `ports` too and knows the bridges that aren't Docker's."""
    rules = rules.replace(_text(bridge_rules()), _text(bridge_rules(others)))
    return rules.replace("COMMIT\n", _text(port_rules(ports)) + "COMMIT\n")


def guarded_ports(rules: Iterable[str]) -> Set[int]:
    """The ports that `port_rules` were made for."""
    found = (re.match(rf"-A {PREROUTING_CHAIN} .*--dports ([\d,]+) ", line) for line in rules)
    return {int(port) for each in found if each for port in each[1].split(",")}


@dataclass(frozen=True)
class Table:
    """The mangle table of one family; `program` is iptables or ip6tables."""

    host: Host
    program: str

    def refuse(self, rules: str) -> None:
        """Raise HostError where the kernel would not take the rules."""
        done = self.host.run(f"{self.program}-restore", "--wait", WAIT, "--noflush", "--test", stdin=rules)
        if not done.ok:
            raise HostError(f"{self.program} does not accept the rules: {done.tail()}")

    def load(self, rules: str) -> None:
        """Put the rules in place of ours, and the jumps to them before all other rules."""
        lines = [line for chain in JUMPS for line in self._jump_first(chain)]
        self._restore(rules.replace("COMMIT\n", _text(lines) + "COMMIT\n"))

    def clear(self) -> None:
        """Take our jumps and chains away."""
        jumps = [f"-D {chain} {number}" for chain in JUMPS for number in reversed(self._jumps(chain))]
        there = [chain for chain in CHAINS if f"-N {chain}" in self._listed()]
        lines = [*jumps, *(f"-F {chain}" for chain in there), *(f"-X {chain}" for chain in there)]
        if lines:
            self._restore("\n".join(["*mangle", *lines, "COMMIT", ""]))

    def ours(self) -> List[str]:
        """The jumps to our chains and the rules in them, as `-S` prints them."""
        return [line for line in self._listed() if any(word in CHAINS for word in line.split())]

    def published(self) -> Set[int]:
        """The TCP ports that the nat table sends elsewhere: all that shows of a published port without docker-proxy."""
        nat = self.host.run(self.program, "-w", WAIT, "-t", "nat", "-S")
        return set(map(int, re.findall(r"-p tcp .*--dport (\d+) .*-j DNAT", nat.output))) if nat.ok else set()

    def complaint(self, rules: str) -> str:
        """What differs from the rules and from jumps that stand first; empty where nothing does."""
        wished, found = _by_chain(rules.splitlines()), _by_chain(self._listed())
        for chain in CHAINS:
            if wished.get(chain) != found.get(chain):
                return (
                    f"{self.program}: the chain {chain} is not as it was wished; look at '{self.program} -t mangle -S'"
                )
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

    def _restore(self, lines: str) -> None:
        self.host.must(f"{self.program}-restore", "--wait", WAIT, "--noflush", stdin=lines)


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _by_chain(lines: Sequence[str]) -> Dict[str, List[List[str]]]:
    """Each chain's rules as sorted words: versions print the matches of a rule in other orders."""
    chains: Dict[str, List[List[str]]] = {}
    for line in lines:
        words = line.split()
        if words[:1] == ["-A"]:
            chains.setdefault(words[1], []).append(sorted(words[2:]))
    return chains
