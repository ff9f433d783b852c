"""Decides: the runtime's own words stand behind a finding, and are one where no walk could be made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from doctor.causes import AREA_OF
from doctor.finding import BROKEN, OK, SKIPPED, Finding, Seen, broken
from doctor.journals import about, after_success, cause_of, evidence, newest, read
from doctor.pull import Image, Pull, Wanted
from doctor.steps.stopped import said
from hostctl.host import Finished, Host

TEXT = (Path(__file__).parents[1] / "cases/doctor/journal.txt").read_text()
SAID = json.loads((Path(__file__).parents[1] / "cases/doctor/said.json").read_text())
LINES = read(TEXT)
BEFORE = LINES[:3]
"""Without the success."""


def pull(repository: str = "library/app", registry: str = "docker.io") -> Pull:
    return Pull("docker", Image(registry, repository, "1"), Wanted(("http://192.168.1.11:5080",)))


class Told(Host):
    text = TEXT

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        assert command[0] == "journalctl"
        return Finished(0, self.text)


class WithoutSuccess(Told):
    text = "\n".join(TEXT.splitlines()[:3])


def test_lines_are_read_with_their_time() -> None:
    assert [each.at for each in LINES] == [1795764200.1, 1795764201.2, 1795764202.3, 1795764203.4, 1795764204.5]
    assert read("-- No entries --\n") == []


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["library/app"], [2, 3]),
        (["library/other"], [1]),
        (["app"], [2]),
        (["192.168.1.11"], []),
        (["192.168.1.11:5080"], [0, 1, 2]),
        (["ibrary/app"], []),
        (["library/ap"], []),
    ],
)
def test_lines_about_a_name(names: list[str], places: list[int]) -> None:
    assert [LINES.index(each) for each in about(LINES, names)] == places


def test_what_is_older_than_a_success_does_not_count() -> None:
    assert after_success(LINES[:3]) == LINES[:3]
    assert after_success(LINES) == LINES[4:]


def test_the_newest_line_that_the_catalogue_knows() -> None:
    assert newest(LINES) == LINES[2]
    assert newest(LINES[:2], "proxy-environment") == LINES[1]
    assert newest(LINES, "hosts-toml-broken") is None
    assert cause_of("all is well") == ""


@pytest.mark.parametrize(
    ("area", "causes"),
    [
        ("reference", ["reference-scheme", "reference-invalid"]),
        ("runtime", ["runtime-down", "runtime-config-broken", "mirror-ignored-config-path", "proxy-environment"]),
    ],
)
def test_what_runtimes_said_on_the_lab_is_known(area: str, causes: list[str]) -> None:
    lines = [line for cause in causes for line in SAID[cause]]
    assert lines
    assert [line for line in lines if AREA_OF.get(cause_of(line)) != area] == []


def test_a_finding_gets_the_runtime_s_own_words() -> None:
    seen = [broken("runtime", Finding("proxy-environment", "docker.service", "HTTP_PROXY stands between"))]
    told = evidence(WithoutSuccess(), pull(), seen)[0].findings[0]
    assert told.evidence.startswith("HTTP_PROXY stands between | docker at ")
    assert told.evidence.endswith(
        'library/app/manifests/1": proxyconnect tcp: dial tcp 192.168.1.99:3128: connect: no route to host'
    )


def test_a_line_in_short_has_the_reason_and_no_secret() -> None:
    line = (
        'time="t" level=error msg="Handler for POST /images/create returned error" error-response="failed to resolve: '
        'Head \\"https://u:secret@r/v2/\\": EOF" method=POST'
    )
    short = said(line)
    assert "returned error: failed to resolve" in short
    assert short.endswith("EOF")
    assert "secret" not in short


def test_the_same_words_are_not_said_twice() -> None:
    words = said(LINES[2].text)
    seen = [broken("runtime", Finding("proxy-environment", "docker.service", f"it says: {words}"))]
    assert evidence(WithoutSuccess(), pull(), seen) == seen


def test_after_a_walk_to_its_end_they_are_told_and_are_no_finding() -> None:
    seen = [Seen("runtime", OK, "")]
    told = evidence(WithoutSuccess(), pull(), seen)
    assert [(each.state, each.findings) for each in told] == [(OK, ()), (SKIPPED, ())]
    assert "proxyconnect" in told[1].said
    assert evidence(WithoutSuccess(), pull("library/unheard"), seen) == seen
    assert evidence(Told(), pull(), seen) == seen


def test_where_no_walk_could_be_made_they_are_the_finding() -> None:
    seen = [Seen("runtime", SKIPPED, "")]
    told = evidence(WithoutSuccess(), pull(), seen)
    assert [(each.state, [finding.cause for finding in each.findings]) for each in told] == [
        (SKIPPED, []),
        (BROKEN, ["proxy-environment"]),
    ]
    assert evidence(Told(), pull(), seen) == seen
