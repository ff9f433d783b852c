"""What doctor tells: a cause of the catalogue, found on a host, with the evidence; and the steps that led there."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

OK, BROKEN, SKIPPED = "ok", "broken", "skipped"
CONTROLLER = "controller"
"""Where a command is typed that is not a host's: in the project's folder."""


class Cause(NamedTuple):
    """One thing that can be wrong. Texts hold {places} that a finding's values fill."""

    name: str
    """Unique, such as tls-unknown-authority."""
    title: str
    """What people see: the words of the runtime, where it has some."""
    because: str
    """What is wrong, in a sentence or two."""
    fix: str
    """What to change: the setting, or what to do on the host."""
    commands: Tuple[Tuple[str, str], ...] = ()
    """What to type, in order: where (`controller`, or {host}, or another place that names a host) and the line."""
    said: Tuple[str, ...] = ()
    """How runtimes, nginx and registries say it: regular expressions for a line of a log or an error."""
    explains: Tuple[str, ...] = ()
    """Causes that clients of this host are told where this is the reason: they are its consequences."""


class Finding(NamedTuple):
    """A cause that was found. `where`: the file, unit, endpoint or rule; `evidence`: one line, without secrets."""

    cause: str
    where: str
    evidence: str
    values: Mapping[str, str] = {}
    """What fills the texts' places, besides host, where, evidence and stack."""

    def document(self) -> Dict[str, Any]:
        """As JSON has it."""
        return {**self._asdict(), "values": dict(self.values)}


class Seen(NamedTuple):
    """What a step has seen. `said`: one line for a person, such as `192.168.1.11:5080 answers in 1 ms`."""

    step: str
    state: str
    said: str
    findings: Tuple[Finding, ...] = ()

    def document(self) -> Dict[str, Any]:
        """As JSON has it."""
        return {**self._asdict(), "findings": [each.document() for each in self.findings]}


def broken(step: str, finding: Finding) -> Seen:
    """The step at which a walk ends."""
    return Seen(step, BROKEN, finding.evidence, (finding,))


def catalogue(causes: List[Cause]) -> Dict[str, Cause]:
    """Causes by their names."""
    found = {each.name: each for each in causes}
    assert len(found) == len(causes), "two causes have one name"
    return found
