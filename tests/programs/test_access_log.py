"""Decides that nginx logs what pull_metrics reads: a blob's slices, ranges, what was cut off, who asked where."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pull_metrics.access_log import Request, parsed
from tests.programs.served_site import BLOB, HERE, PULLER, Site, blob_of, serving, wait_until

SLICES = 3


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, metrics={"pull_ends": "30s"}) as live:
        yield live


def logged(site: Site, count: int) -> list[Request]:
    """So many lines, when they are there."""
    wait_until(lambda: len(site.log.read_bytes().splitlines()) >= count)
    found = [parsed(line) for line in site.log.read_bytes().splitlines()]
    assert len(found) == count
    return [each for each in found if each]


def test_each_slice_says_where_it_came_from(site: Site) -> None:
    site.ask("GET", blob_of(), host="mirror.test")
    cold = logged(site, SLICES)
    assert [each.slice for each in cold] == [True, True, False]
    assert {each.cache for each in cold} == {"MISS"}
    assert len(BLOB) <= sum(each.fetched for each in cold) < len(BLOB) + 5000
    last = cold[-1]
    assert (last.sent, last.complete, last.status) == (len(BLOB), True, 200)
    assert (last.repository, last.kind, last.client) == ("app", "blobs", HERE)
    assert last.endpoint == ("mirror.test", site.port)
    site.ask("GET", blob_of(), host="mirror.test")
    warm = logged(site, 2 * SLICES)[SLICES:]
    assert {each.cache for each in warm} == {"HIT"}
    assert sum(each.fetched for each in warm) == 0


def test_a_hosted_blob_s_checks_are_no_lines(site: Site) -> None:
    """Passwords and verdicts are asked for by subrequests as well."""
    site.ask("GET", blob_of(), host="hosted.test", user=PULLER)
    found = logged(site, SLICES)
    assert [each.slice for each in found] == [True, True, False]
    assert {(each.user, each.endpoint) for each in found} == {("puller", ("hosted.test", site.port))}


def whole(site: Site) -> Request:
    """The line of the answer itself, which comes last."""

    def last() -> Request | None:
        lines = site.log.read_bytes().splitlines()
        return parsed(lines[-1]) if lines else None

    wait_until(lambda: (found := last()) is not None and not found.slice)
    found = last()
    assert found
    return found


@pytest.mark.parametrize("asked", ["bytes=100-199", "bytes=9000000-", "bytes=0-99999999"])
def test_a_range_is_whole_where_all_of_it_was_sent(site: Site, asked: str) -> None:
    answer = site.ask("GET", blob_of(), host="mirror.test", Range=asked)
    assert answer.status == 206
    assert (whole(site).complete, whole(site).sent) == (True, len(answer.body))


def test_what_a_client_gave_up_is_not_complete(site: Site) -> None:
    connection = http.client.HTTPConnection(HERE, site.port, timeout=10)
    connection.request("GET", blob_of(), headers={"Host": "mirror.test"})
    connection.getresponse().read(1000)
    connection.close()
    assert not whole(site).complete


def test_without_metrics_an_answer_is_a_line(tmp_path: Path) -> None:
    with serving(tmp_path) as live:
        live.ask("GET", blob_of(), host="mirror.test")
        wait_until(lambda: bool(live.log.read_bytes()))
        assert len(live.log.read_bytes().splitlines()) == 1


def test_every_field_is_there(site: Site) -> None:
    site.ask("GET", "/v2/", host="mirror.test")
    (request,) = logged(site, 1)
    assert (request.path, request.status, request.kind) == ("/v2/", 200, "")
    assert 0 <= request.seconds < 5
    assert json.loads(site.log.read_text())["at"].count(".") == 1
