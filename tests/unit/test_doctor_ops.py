"""Decides: which pulls doctor walks where, and what becomes of the hosts' findings."""

from __future__ import annotations

from typing import Any

import pytest

from doctor.causes import STATUS
from doctor.finding import Finding
from doctor.pull import Image, read_pull
from ops.configuration import tier_of
from ops.doctor import Answers, document, requests_of, status
from ops.doctor.found import Found, found, once
from ops.doctor.pulls import document as pull_document
from ops.doctor.pulls import pulls
from ops.doctor.report import show
from settings import Tier, parse

LAB = tier_of("lab")
MIRROR, HOSTED = "http://192.168.1.11:5080", "http://192.168.1.11"
RUNTIME = [{"host": "docker1", "docker": {}}]
CANARY = Image("docker.io", "http-registry/canary", "1")


def changed(**settings: Any) -> Tier:
    """The lab's tier with other settings."""
    data: dict[str, Any] = LAB.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return parse({**data, **settings})


def test_each_runtime_walks_to_the_canary_of_each_mirror_and_to_each_hosted_registry() -> None:
    for host, runtime in (("docker1", "docker"), ("containerd1", "containerd")):
        mirrored, hosted = pulls(LAB, host, None)
        assert (mirrored.runtime, mirrored.image, mirrored.wanted.urls) == (runtime, CANARY, (MIRROR,))
        assert (hosted.image, hosted.wanted.urls) == (Image("192.168.1.11", ""), (HOSTED,))
        assert (mirrored.mirrored, hosted.mirrored) == (True, False)
        assert mirrored.server(MIRROR)[1:] == ("registry", "192.168.1.11", "nginx")
    assert pulls(LAB, "registry", None) == []


def test_a_mirror_without_a_canary_is_asked_whether_it_answers() -> None:
    (cache,) = [each for each in LAB.registries if each.kind == "cache"]
    tier = changed(registries=[cache.model_dump(mode="json", exclude_none=True)], proxy=None, runtimes=RUNTIME)
    (pull,) = pulls(tier, "docker1", None)
    assert (pull.image, pull.wanted.urls) == (Image("docker.io", ""), ("http://192.168.1.11:5001",))
    assert pull.server("http://192.168.1.11:5001").service == ""


def test_the_login_is_that_of_the_runtime_or_of_root() -> None:
    users = {host: pulls(LAB, host, None)[1].wanted.user for host in ("docker1", "docker2")}
    assert users == {"docker1": "", "docker2": "puller"}


@pytest.mark.parametrize(
    ("registry", "urls", "mirrored"),
    [
        ("docker.io", (MIRROR,), True),
        ("192.168.1.11", (HOSTED,), False),
        ("quay.io", ("https://mirror.example",), True),
        ("ghcr.io", ("https://ghcr.io",), False),
        ("127.0.0.1:5000", ("https://127.0.0.1:5000",), False),
    ],
)
def test_where_the_settings_want_an_image_asked(registry: str, urls: tuple[str, ...], mirrored: bool) -> None:
    others = [{"serves": "quay.io", "endpoints": ["https://mirror.example"]}]
    tier = changed(runtimes=[{"host": "containerd1", "containerd": {"mirrors": others}}])
    (pull,) = pulls(tier, "containerd1", Image(registry, "team/app", "1"))
    assert (pull.wanted.urls, pull.mirrored) == (urls, mirrored)


def test_a_pull_comes_to_the_host_as_it_left() -> None:
    for pull in pulls(LAB, "docker2", None):
        assert read_pull(pull_document(pull)) == pull


def test_with_one_client_the_hosts_that_serve_are_asked_too() -> None:
    requests = requests_of(LAB, None, "docker1")
    assert set(requests) == {"registry", "docker1"}
    assert requests["registry"]["pulls"] == []
    assert requests["registry"]["serves"]
    assert set(requests_of(LAB, None)) == {each.name for each in LAB.hosts}


def report(*causes: tuple[str, str, str], **values: str) -> dict[str, Any]:
    """A host's report with these findings: runtime, cause, where."""
    return {
        "pulls": [
            {
                "pull": {"runtime": runtime, "image": CANARY._asdict()},
                "steps": [
                    {
                        "step": "one",
                        "state": "broken",
                        "said": "it broke",
                        "findings": [Finding(cause, where, f"{runtime} says so", values).document()],
                    }
                ],
            }
            for runtime, cause, where in causes
        ],
        "server": [],
        "seconds": 0.4,
    }


def test_two_runtimes_that_meet_the_same_thing_are_one_finding() -> None:
    same = report(("docker", "no-route", MIRROR), ("containerd", "no-route", MIRROR))
    other = report(("docker", "no-route", MIRROR), ("containerd", "no-route", HOSTED))
    assert [each.finding.evidence for each in found({"a": same})] == ["docker says so"]
    assert len(found({"a": other})) == 2
    assert len(found({"a": same, "b": same})) == 2


def test_what_several_hosts_meet_at_one_place_is_one_finding_where_one_change_mends_it() -> None:
    missing = report(("docker", "manifest-unknown", MIRROR))
    (told,) = once(found({"a": missing, "b": missing}))
    assert (told.host, [each.host for each in told.consequences]) == ("a", ["b"])
    unknown = report(("docker", "host-name-unknown", MIRROR), name="r", server_address="192.0.2.1")
    assert len(once(found({"a": unknown, "b": unknown}))) == 2, "each has a file to mend"


def test_findings_come_in_the_order_of_a_pull_and_the_first_gives_the_status() -> None:
    reports = {"a": report(("docker", "disk-full", "/x")), "b": report(("docker", "tls-expired", HOSTED))}
    result = document("lab", Answers(reports, {"c": "off"}), found(reports))
    assert [each["cause"] for each in result["findings"]] == ["tls-expired", "disk-full"]
    assert status(result) == STATUS["tls"] == 14
    assert status({**result, "findings": []}) == 1
    assert status(document("lab", Answers(reports), [])) == 0


def test_texts_are_filled_and_a_command_that_lacks_something_is_left_out() -> None:
    values = {"address": "192.168.1.11", "port": "80", "said_by": "a file", "server": "", "service": ""}
    theirs = Found("docker1", Finding("connection-refused", HOSTED, "refused", values))
    ours = Found("docker1", Finding("connection-refused", HOSTED, "", {**values, "server": "s", "service": "nginx"}))
    assert theirs.document("lab")["title"] == "dial tcp 192.168.1.11:80: connect: connection refused"
    assert theirs.document("lab")["commands"] == []
    assert ours.document("lab")["commands"] == [{"on": "s", "line": "systemctl restart nginx"}]


def test_what_the_settings_repair_is_typed_here() -> None:
    (command,) = Found("a", Finding("login-wrong", "/f", "", {"server": "s"})).document("prod")["commands"]
    assert command == {"on": "controller", "line": "make drift STACK=prod; make up STACK=prod"}


def test_a_person_is_told_everything(capsys: pytest.CaptureFixture[str]) -> None:
    reports = {"docker1": report(("docker", "no-route", MIRROR), address="192.168.1.11", port="80")}
    reason = Found("registry", Finding("nginx-down", "nginx.service", "inactive", {"state": "dead"}))
    told = Found(reason.host, reason.finding, tuple(found(reports)))
    show(document("lab", Answers(reports, {"docker2": "is off"}), [told]))
    shown = capsys.readouterr().out
    for each in ("docker1", "it broke", "docker2", "is off", "nginx.service", "inactive", "so also", "docker says so"):
        assert each in shown
    assert "registry# systemctl" in shown


def test_nothing_found_is_not_said_of_a_host_that_was_silent(capsys: pytest.CaptureFixture[str]) -> None:
    show(document("lab", Answers({}, {"docker2": "is off"}), []))
    assert "Nothing found, but docker2 could not be asked." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "asked"),
    [("spegel", {"containerd docker.io"}), ("dragonfly", {"containerd docker.io", "docker docker.io"})],
)
def test_the_peer_belongs_to_the_pulls_that_ask_it(kind: str, asked: set[str]) -> None:
    url = "http://127.0.0.1:4001"
    tier = changed(runtimes=[{"host": "docker1", "docker": {}, "containerd": {}, "peer": {"url": url, "kind": kind}}])
    found = {f"{each.runtime} {each.image.registry}" for each in pulls(tier, "docker1", None) if each.wanted.peer}
    assert found == asked
    assert all(read_pull(pull_document(each)) == each for each in pulls(tier, "docker1", None))
