"""Decides which requests are one pull and how it ended. Cases are what real runtimes were seen to ask.

That nginx logs them so is decided in tests/programs, the figures of real pulls in tests/lab.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from doctor import http_client
from documents.nginx_log import LOG_FIELDS
from pull_metrics.access_log import Request, parsed
from pull_metrics.in_order import InOrder
from pull_metrics.pull import Pull
from pull_metrics.pulls import Pulls

FOLDER = Path(__file__).parent.parent / "cases" / "pulls"
START = 1_800_000_000.0
LENGTH = 1000


def line(seconds: str, method: str, path: str, user: str, status: str, *cut: str, agent: str, **more: str) -> bytes:
    """A line as nginx writes it."""
    target = "/v2/" if path == "ping" else f"/v2/team/app/{path}"
    fields = dict.fromkeys(LOG_FIELDS, "") | {
        "at": f"{START + float(seconds):.3f}",
        "client": "192.0.2.7",
        "user": "" if user == "-" else user,
        "server": "registry.example",
        "port": "443",
        "request": f"{method} {target} HTTP/1.1",
        "request_bytes": "120",
        "status": status,
        "bytes": str(LENGTH // 2 if cut else LENGTH),
        "length": str(LENGTH),
        "seconds": "0.010",
        "agent": agent,
    }
    return json.dumps(fields | more).encode()


def cases() -> Iterator[tuple[str, str, list[list[str]], str]]:
    for file in sorted(FOLDER.glob("*.txt")):
        head, *sections = file.read_text().split("\n== ")
        agent = head.rpartition("agent: ")[2].strip()
        for section in sections:
            title, *lines = section.splitlines()
            name, _, ends = title.rpartition(":")
            yield f"{file.stem}: {name}", agent, [each.split() for each in lines if each], ends.strip()


def told(agent: str, lines: list[list[str]], pulls: Pulls) -> Iterator[Pull]:
    for words in lines:
        request = parsed(line(*words, agent=agent))
        assert request
        yield from pulls.take(request)


def ends(pulls: list[Pull]) -> str:
    return ", ".join(" ".join(each.outcome()).strip() for each in sorted(pulls, key=lambda each: each.began))


@pytest.mark.parametrize(("agent", "lines", "ended"), [case[1:] for case in cases()], ids=[case[0] for case in cases()])
def test_how_pulls_end(agent: str, lines: list[list[str]], ended: str) -> None:
    pulls = Pulls(30)
    found = list(told(agent, lines, pulls))
    assert pulls.settle(START + float(lines[-1][0]) + 29) == []
    found += pulls.settle(START + float(lines[-1][0]) + 31)
    assert ends(found) == ended
    assert pulls.settle(START + 1e6) == []


@pytest.mark.parametrize(("agent", "lines", "ended"), [case[1:] for case in cases()], ids=[case[0] for case in cases()])
def test_a_restart_between_any_two_lines_changes_nothing(agent: str, lines: list[list[str]], ended: str) -> None:
    pulls = Pulls(30)
    found: list[Pull] = []
    for each in lines:
        found += told(agent, [each], pulls)
        pulls = Pulls(30, json.loads(json.dumps(pulls.as_data())))
    assert ends(found + pulls.settle(START + 1e6)) == ended


LATE = [
    [["0.10", "HEAD", "manifests/1", "-", "200"], ["0.11", "GET", "manifests/sha256:aa", "-", "200"]],
    [["0.10", "HEAD", "manifests/1", "-", "404"], ["0.11", "GET", "manifests/1", "-", "404"]],
    [["0.10", "HEAD", "manifests/1", "-", "200"], ["0.10", "GET", "manifests/sha256:aa", "-", "200"]],
    [["0.10", "HEAD", "blobs/sha256:aa", "-", "404"], ["0.11", "POST", "blobs/uploads/", "-", "202"]],
]
"""Two workers' lines, as they were asked."""


def lines_of(words: list[list[str]]) -> list[tuple[bytes, Request]]:
    lines = [line(*each, agent="docker/20.10.24") for each in words]
    return [(each, request) for each in lines if (request := parsed(each))]


@pytest.mark.parametrize("asked", LATE, ids=[" ".join(each[1][1:3]) for each in LATE])
@pytest.mark.parametrize("readings", [1, 2], ids=["in one reading", "in two"])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_line_that_was_written_late_is_taken_before_what_followed_it(
    asked: list[list[str]], readings: int, restarted: bool
) -> None:
    late, order = lines_of(asked)[::-1], InOrder()
    given: list[Request] = []
    for each in ([late], [late[:1], late[1:]])[readings - 1]:
        given += order.take(each)
        if restarted:
            order = InOrder(json.loads(json.dumps(order.as_data())))
    given += order.take([])
    assert given == [request for _, request in lines_of(asked)]


@pytest.mark.parametrize(("agent", "lines", "ended"), [case[1:] for case in cases()], ids=[case[0] for case in cases()])
def test_the_order_that_workers_write_in_changes_nothing(agent: str, lines: list[list[str]], ended: str) -> None:
    """Any of the first four lines late."""
    for first in permutations(lines[:4]):
        pulls, order = Pulls(30), InOrder()
        found: list[Pull] = []
        for batch in ([line(*each, agent=agent) for each in (*first, *lines[4:])], [], []):
            for request in order.take([(each, request) for each in batch if (request := parsed(each))]):
                found += pulls.take(request)
        assert ends(found + pulls.settle(START + 1e6)) == ended


def test_no_pull_ends_before_what_is_held_has_been_taken() -> None:
    order = InOrder()
    order.take(lines_of(LATE[0]))
    assert order.until(START + 9) == pytest.approx(START + 0.10)
    order.take([])
    assert order.until(START + 9) == START + 9


def test_times_are_from_the_first_request_to_the_last_byte() -> None:
    pulls = Pulls(30)
    whole = next(each for each in cases() if each[0] == "docker_20_10: whole")
    list(told(whole[1], whole[2], pulls))
    (pull,) = pulls.settle(START + 100)
    assert pull.seconds == pytest.approx(0.40 - 0.11 + 0.01)
    assert (pull.repository, pull.runtime, pull.client) == ("team/app", "docker", "192.0.2.7")


def test_slices_keep_a_slow_blob_under_way() -> None:
    """A line each 8 MB, long before the blob's own."""
    agent, pulls = "containerd/v2.4.2", Pulls(30)
    found = list(told(agent, [["0.1", "HEAD", "manifests/1", "-", "200"]], pulls))
    for seconds in range(20, 200, 20):
        request = parsed(line(str(seconds), "GET", "blobs/sha256:aa", "-", "200", agent=agent, request_bytes="0"))
        assert request
        found += pulls.settle(START + seconds) + pulls.take(request)
    found += told(agent, [["200", "GET", "blobs/sha256:aa", "-", "500"]], pulls)
    assert ends(found + pulls.settle(START + 1e6)) == "failed server"


def test_the_canary_is_no_pull() -> None:
    pulls = Pulls(30)
    request = parsed(
        line("0", "GET", "x", "-", "200", agent="a", request="GET /v2/http-registry/canary/manifests/1 HTTP/1.1")
    )
    assert request
    assert pulls.take(request) + pulls.settle(START + 1e6) == []


def test_what_doctor_asks_is_no_pull() -> None:
    lines = [["0", "GET", "ping", "-", "401"], ["1", "GET", "manifests/1", "-", "404"]]
    pulls = Pulls(30)
    assert list(told(http_client.AGENT, lines, pulls)) + pulls.settle(START + 1e6) == []
    assert len(list(told("curl/8", lines, pulls)) + pulls.settle(START + 1e6)) == 1


@pytest.mark.parametrize(
    ("asked", "length", "sent", "complete"),
    [
        ("", 1000, 1000, True),
        ("", 1000, 999, False),
        ("bytes=100-199", 1000, 100, True),
        ("bytes=100-199", 1000, 99, False),
        ("bytes=900-", 1000, 100, True),
        ("bytes=900-", 1000, 50, False),
        ("bytes=900-5000", 1000, 100, True),
        ("bytes=100-199", 100, 100, True),  # of what is not sliced nginx logs the range's own length
    ],
)
def test_whether_an_answer_was_sent_whole(asked: str, length: int, sent: int, complete: bool) -> None:
    status = "206" if asked else "200"
    request = parsed(
        line("0", "GET", "blobs/sha256:aa", "-", status, agent="a", range=asked, length=str(length), bytes=str(sent))
    )
    assert request
    assert request.complete is complete


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not json",
        b'{"request": "GET /v2/ HTTP/1.1"}',
        line("0", "GET", "x", "-", "400", agent="", request="\\x16\\x03\\x01"),
        line("0", "GET", "x", "-", "400", agent="").replace(b"GET", b"\x16\x03\xff\xfe GET", 1),
        line("0", "GET", "x", "-", "400", agent="")[:-20],
        b"[]",
    ],
)
def test_what_is_no_request_is_none(text: bytes) -> None:
    """A TLS handshake in clear has bytes that are no UTF-8; a full disk cuts lines; older lines lack fields."""
    assert parsed(text) is None
