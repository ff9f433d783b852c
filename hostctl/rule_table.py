"""What the firewall's programs have in common: one table of the kernel, in which some rules are ours."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Protocol, Set, Tuple

WAIT = "60"
"""Seconds to wait for the lock that dockerd's own calls hold."""
Key = Tuple[str, ...]
"""What a rule is known by: its chain, and its words in the form of `firewall_rules.alike`."""


class Count(NamedTuple):
    """What a rule has seen."""

    packets: int
    octets: int


Counters = Dict[Key, Count]


class RuleTable(Protocol):
    """Our rules in one table. Every method may raise HostError."""

    @property
    def path(self) -> str:
        """Where the rules of this table lie for the next boot."""

    @property
    def title(self) -> str:
        """The command that shows this table to a person."""

    def refuse(self, rules: str) -> None:
        """Raise HostError where the kernel would not take the rules."""

    def load(self, rules: str, counters: Counters) -> None:
        """Put the rules in place of ours and before all others, in one step, with what they have counted so far."""

    def clear(self) -> None:
        """Take away what is ours, in one step."""

    def ours(self) -> List[str]:
        """Our rules as the program prints them, without counters; empty where there are none."""

    def counters(self) -> Counters:
        """What each of our rules has seen."""

    def published(self) -> Set[int]:
        """The TCP ports that are sent elsewhere: all that shows of a published port without docker-proxy."""

    def complaint(self, rules: str) -> str:
        """What differs from the rules; empty where nothing does."""

    def remains(self) -> str:
        """What of ours is still there; empty where nothing is."""
