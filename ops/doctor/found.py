"""A finding of a host, its texts filled in, and what follows from it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from doctor.causes import AREA_OF, AREAS, CATALOGUE
from doctor.finding import Cause, Finding
from doctor.pull import Image
from hostctl.canary import REPOSITORY

PLACE = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True)
class Found:
    """A finding, where it was made; `consequences`: findings of others that end with it."""

    host: str
    finding: Finding
    consequences: tuple[Found, ...] = ()

    @property
    def cause(self) -> Cause:
        """What the catalogue says of it."""
        return CATALOGUE[self.finding.cause]

    @property
    def area(self) -> str:
        """The step that names it."""
        return AREA_OF[self.finding.cause]

    def document(self, stack: str) -> dict[str, Any]:
        """As JSON has it."""
        values = {
            **repairs(stack, self.finding.values),
            **self.finding.values,
            "host": self.host,
            "stack": stack,
            "where": self.finding.where,
            "evidence": self.finding.evidence,
        }
        return {
            "cause": self.finding.cause,
            "area": self.area,
            "host": self.host,
            "where": self.finding.where,
            "evidence": self.finding.evidence,
            "title": filled(self.cause.title, values),
            "because": filled(self.cause.because, values),
            "fix": filled(self.cause.fix, values),
            "commands": [
                {"on": filled(on, values), "line": filled(line, values)}
                for on, line in self.cause.commands
                if all(values.get(each) for each in PLACE.findall(on + line))
            ],
            "consequences": [
                {"host": each.host, "cause": each.finding.cause, "evidence": each.finding.evidence}
                for each in self.consequences
            ],
        }


def repairs(stack: str, values: Mapping[str, str]) -> dict[str, str]:
    """Commands that only the controller knows, for places of the catalogue; empty where this tier does not serve it.

    `make drift` ends with a failure where it found something, and `up` repairs just that.
    """
    ours = bool(values.get("server"))
    repair = f"make drift STACK={stack}; make up STACK={stack}" if ours else ""
    return {
        "repair": repair,
        "repair_canary": repair if REPOSITORY in values.get("image", "") else "",
        "certificates": f"make certificates STACK={stack} RENEW=--renew" if ours else "",
    }


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text of the catalogue with its {places} filled; one that has no value stays."""
    return PLACE.sub(lambda place: values.get(place[1], place[0]), text)


def found(reports: Mapping[str, Mapping[str, Any]]) -> list[Found]:
    """All findings of the hosts' reports, each once: two runtimes of a host that meet the same thing are one."""
    seen: dict[tuple[str, str, str], Found] = {}
    for host, report in reports.items():
        for step in steps(report):
            for finding in step["findings"]:
                seen.setdefault((host, finding["cause"], finding["where"]), Found(host, Finding(**finding)))
    return ordered(seen.values())


def once(all_found: Iterable[Found]) -> list[Found]:
    """What several hosts meet at one place, and one change mends for all, is one finding; the others follow from it."""
    first: dict[object, Found] = {}
    for each in all_found:
        key = (each.finding.cause, each.finding.where, str(each.document("")["commands"]))
        known = first.setdefault(key, each)
        if known is not each:
            first[key] = replace(known, consequences=(*known.consequences, each, *each.consequences))
    return list(first.values())


def ordered(all_found: Iterable[Found]) -> list[Found]:
    """In the order in which a pull meets them."""
    areas = list(AREAS)
    return sorted(all_found, key=lambda each: areas.index(each.area))


def steps(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every step of a host's report; `pull`: whose, empty for the server's."""
    walks: Sequence[tuple[str, Any]] = [
        *((named(each["pull"]), each["steps"]) for each in report["pulls"]),
        ("", report["server"]),
    ]
    return [{"pull": name, **step} for name, taken in walks for step in taken]


def named(pull: Mapping[str, Any]) -> str:
    """A pull for people: `docker docker.io/library/app:1`."""
    return f"{pull['runtime']} {Image(**pull['image']).name}"
