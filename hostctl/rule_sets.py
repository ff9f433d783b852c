"""Reads what `iptables-save`, or `iptables -t table -S`, prints into tables that a packet can be walked through."""

from __future__ import annotations

import shlex
from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple

from hostctl.errors import HostError
from hostctl.iptables_matches import NotKnown, Option, base, match
from hostctl.iptables_targets import target
from hostctl.packets import Chain, Rule, Step, Table, Unknown, Verdict
from hostctl.rule_steps import always, holds

HOOKS = {
    "PREROUTING": "prerouting",
    "INPUT": "input",
    "FORWARD": "forward",
    "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}
PRIORITIES = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
SOURCE_NAT = 100
ENDS = ("-m", "-j", "-g")


def iptables_tables(text: str, by: str, version: int, only: str = "") -> List[Table]:
    """The tables of a listing. `by`: which program printed it; `only`: the table of a `-S` listing.

    Raises HostError for a line that names no chain.
    """
    tables: Dict[str, Table] = {}
    current = _new(tables, by, version, only) if only else None
    for line in text.splitlines():
        line = _without_counters(line)
        if line.startswith("*"):
            current = _new(tables, by, version, line[1:].strip())
        elif current is not None and line[:1] in (":", "-"):
            _take(current, line)
    for table in tables.values():
        _count_chains_as_targets(table)
    return list(tables.values())


def _new(tables: Dict[str, Table], by: str, version: int, name: str) -> Table:
    return tables.setdefault(name, Table(by, name, (version,), {}))


def _without_counters(line: str) -> str:
    return line.split("] ", 1)[1] if line.startswith("[") and "] " in line else line


def _take(table: Table, line: str) -> None:
    if line.startswith((":", "-P ", "-N ")):
        words = (line[1:] if line.startswith(":") else f"{line[3:]} -").split()
        if len(words) < 2:
            raise HostError(f"{table.by}, table {table.name}: a line that can't be read: {line}")
        name, policy = words[:2]
        _chain(table, name).policy = "drop" if policy == "DROP" else "accept"
    elif line.startswith("-A "):
        chain = _chain(table, line.split(" ", 2)[1])
        chain.rules.append(Rule(len(chain.rules) + 1, line, ()))


def _chain(table: Table, name: str) -> Chain:
    if name not in table.chains:
        hook = HOOKS.get(name, "")
        priority = PRIORITIES.get(table.name, 0)
        if table.name == "nat" and hook in ("input", "postrouting"):
            priority = SOURCE_NAT
        kind = "nat" if table.name == "nat" else "filter"
        table.chains[name] = Chain(name, [], hook, priority, kind=kind)
    return table.chains[name]


def _count_chains_as_targets(table: Table) -> None:
    """Give the rules their steps, now that all chains are known."""
    for chain in table.chains.values():
        chain.rules = [Rule(rule.number, rule.text, rule_steps(rule.text, table.chains)) for rule in chain.rules]


class Parts(NamedTuple):
    """The options before any match, those of each match, and what follows: -j or -g, its name, its options."""

    base: List[Option]
    matches: List[Tuple[str, List[Option]]]
    then: Sequence[str]


def rule_steps(line: str, chains: Dict[str, Chain]) -> Tuple[Step, ...]:
    """The steps of `-A chain …`; what is not known becomes a step that says so."""
    try:
        parts = _parts(shlex.split(line)[2:])
    except (ValueError, IndexError):
        return _not_known("a rule that can't be read")
    steps: List[Step] = []
    for option in parts.base:
        steps += _or_not_known(base, option)[:1]
    for module, options in parts.matches:
        steps += _or_not_known(match, module, options)[:1]
    if parts.then:
        how, name, *words = parts.then
        if how == "-g" or name in chains:
            steps.append(always(Verdict("goto" if how == "-g" else "jump", chain=name)))
        else:
            steps += _or_not_known(target, name, words)
    return tuple(steps)


def _or_not_known(make: Callable[..., Step], *arguments: object) -> Tuple[Step, ...]:
    try:
        return (make(*arguments),)
    except NotKnown as what:
        return _not_known(str(what))


def _not_known(what: str) -> Tuple[Step, ...]:
    return holds(Unknown(f"{what}: not known here")), always(Verdict("unknown"))


def _parts(words: Sequence[str]) -> Parts:
    parts = Parts([], [], [])
    into, at, negated = parts.base, 0, False
    while at < len(words):
        word = words[at]
        if word in ("-j", "-g"):
            return parts._replace(then=[word, words[at + 1], *words[at + 2 :]])
        if word == "-m":
            into = []
            parts.matches.append((words[at + 1], into))
            at += 2
        elif word == "!":
            negated, at = True, at + 1
        else:
            end = _end(words, at + 1)
            into.append(Option(word, tuple(words[at + 1 : end]), negated))
            negated, at = False, end
    return parts


def _end(words: Sequence[str], start: int) -> int:
    """Where the values of an option end. A comment may look like an option."""
    if words[start - 1] == "--comment":
        return start + 1
    for at in range(start, len(words)):
        if words[at].startswith("-") or words[at] == "!":
            return at
    return len(words)
