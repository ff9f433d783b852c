"""The tails of the runtimes' journals: lines that the catalogue knows (`Cause.said`), about the pull that is walked."""

from __future__ import annotations

import re
import time
from typing import Iterable, Iterator, List, NamedTuple, Optional

from doctor.causes import AREA_OF, CATALOGUE
from doctor.finding import BROKEN, OK, SKIPPED, Finding, Seen
from doctor.pull import Pull
from doctor.steps.asked import netloc, real
from doctor.steps.stopped import said
from hostctl.errors import HostError
from hostctl.host import Host

STEP = "journal"
BACK = 600.0
"""Seconds that a line may be old."""
LINES = 400
PATIENCE = 3.0
LONGEST = 400
"""Characters that are told of a line."""
SUCCESS = re.compile(r'msg="PullImage \\?"(?P<image>[^"\\]+)\\?" returns image reference')
_LINE = re.compile(r"(?P<at>\d{1,11}\.\d+) \S+ \S+?\[\d+\]: (?P<text>.*)")


class Line(NamedTuple):
    """A line of a journal. `at`: seconds since 1970."""

    at: float
    text: str

    def told(self, unit: str) -> str:
        """For people."""
        return f"{unit} at {time.strftime('%H:%M:%S', time.localtime(self.at))}: {said(self.text)[:LONGEST]}"


def evidence(host: Host, pull: Pull, seen: List[Seen]) -> List[Seen]:
    """The walk of one pull with the runtime's own words: as evidence of its finding, or as a finding where it has none.

    Called once for each pull, after its walk. A walk to the end is a success, newer than any line: what the runtime has
    said of this image before is told, and is no finding.
    """
    lines = tail(host, pull.runtime)
    if any(each.state == BROKEN for each in seen):
        return [confirmed(each, pull, lines) for each in seen]
    line = newest(after_success(about(lines, [pull.image.repository] if pull.image.repository else servers(pull))))
    if line is None:
        return seen
    told = line.told(pull.runtime)
    if all(each.state == OK for each in seen):
        return [*seen, Seen(STEP, SKIPPED, f"the way is free now; {told}")]
    finding = Finding(cause_of(line.text), f"{pull.runtime}.service", told)
    return [*seen, Seen(STEP, BROKEN, told, (finding,))]


def tail(host: Host, unit: str) -> List[Line]:
    """The last lines of a runtime's journal, oldest first."""
    asked = ("-u", f"{unit}.service", f"--since=@{time.time() - BACK:.0f}", "-n", str(LINES))
    try:
        return read(host.run("journalctl", *asked, "-o", "short-unix", "--no-pager", "-q", timeout=PATIENCE).output)
    except HostError:
        return []


def read(text: str) -> List[Line]:
    """What `journalctl -o short-unix` prints, oldest first. Pure."""
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return [Line(float(each["at"]), each["text"]) for each in found if each]


def confirmed(seen: Seen, pull: Pull, lines: List[Line]) -> Seen:
    """A broken step, with the newest line behind its evidence that says the same of this pull. Pure."""
    findings = []
    for finding in seen.findings:
        line = newest(_of_cause(finding.cause, pull, lines), finding.cause)
        words = said(line.text) if line else ""
        new = words not in finding.evidence and (words.partition(": ")[2] or words) not in finding.evidence
        told = f"{finding.evidence} | {line.told(pull.runtime)}" if line and new else finding.evidence
        findings.append(finding._replace(evidence=told))
    return seen._replace(findings=tuple(findings))


def _of_cause(cause: str, pull: Pull, lines: List[Line]) -> Iterable[Line]:
    """The lines that can be about a cause of this pull: a configuration, a full disk name no image."""
    area, repository = AREA_OF[cause], [pull.image.repository] if pull.image.repository else []
    if area in ("runtime", "host"):
        return lines
    return about(lines, repository if area == "content" else [*repository, *servers(pull)])


def servers(pull: Pull) -> List[str]:
    """Who may be asked, as a runtime's log names them."""
    return list(dict.fromkeys([pull.image.registry, netloc(real(pull.image.registry)), *map(netloc, pull.wanted.urls)]))


def about(lines: Iterable[Line], names: List[str]) -> Iterator[Line]:
    """The lines that name one of these: a repository, a server. Pure."""
    # Behind a server a number is another port, behind a repository a tag.
    ends = {each: r"(?![\w-])" if "/" in each else r"(?![\w-]|:\d)" for each in names}
    pattern = re.compile("|".join(rf"(?<![\w.-]){re.escape(each)}{end}" for each, end in ends.items()))
    return (line for line in lines if pattern.search(line.text))


def after_success(lines: Iterable[Line]) -> List[Line]:
    """The lines behind the last that tells of a success. containerd has such lines, dockerd has none. Pure."""
    kept: List[Line] = []
    for line in lines:
        kept = [] if SUCCESS.search(line.text) else [*kept, line]
    return kept


def newest(lines: Iterable[Line], cause: str = "") -> Optional[Line]:
    """The newest line of this cause, or of any. Pure."""
    known = [line for line in lines if (cause_of(line.text, cause) if cause else cause_of(line.text))]
    return known[-1] if known else None


def cause_of(text: str, only: str = "") -> str:
    """The first cause, in a pull's order, that says a line; empty where none does. Pure.

    A server's own causes are left out: a runtime's journal tells what they look like from outside.
    """
    causes = [CATALOGUE[only]] if only else [each for each in CATALOGUE.values() if AREA_OF[each.name] != "server"]
    return next((each.name for each in causes if any(re.search(said_by, text) for said_by in each.said)), "")
