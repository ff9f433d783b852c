"""Decides how the log is followed, what is counted, and what the status page's file says. Pulls: test_pulls.py."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pull_metrics import series
from pull_metrics.access_log import Request
from pull_metrics.config import Config, Part
from pull_metrics.figures import STEP, Figures
from pull_metrics.follow import Follower
from pull_metrics.measured import Measured
from pull_metrics.pull import Pull
from pull_metrics.series import Counted, Family
from pull_metrics.server import server

ENDPOINT = ("registry.example", 80)
NOW = 1_800_000_000.0 + 17
GET = Request(
    NOW, 0.5, "192.0.2.7", "", ENDPOINT, "docker/20", "GET", "/v2/a/blobs/sha256:aa", 200, 1000, True, False, "MISS",
    1200, "a", "blobs", "sha256:aa",
)  # fmt: skip


def write(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    with ExitStack() as opened:
        yield lambda *arguments: opened.enter_context(closing(Follower(*arguments)))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text("before\n")
    return path


def test_only_what_comes_from_now_on_and_whole_lines(follow: Callable[..., Follower], log: Path) -> None:
    follower = follow(log)
    write(log, "one\ntw")
    assert follower.lines() == [b"one"]
    write(log, "o\n")
    assert follower.lines() == [b"two"]


def test_a_log_that_is_not_there_yet(follow: Callable[..., Follower], tmp_path: Path) -> None:
    follower = follow(tmp_path / "access.log")
    assert follower.lines() == []
    assert follower.position is None
    write(tmp_path / "access.log", "one\n")
    assert follower.lines() == [b"one"]


def test_a_renamed_log_is_read_to_its_end(follow: Callable[..., Follower], log: Path) -> None:
    """nginx goes on writing there until it is told to open the new one, which logrotate makes at once."""
    follower = follow(log)
    old = log.rename(f"{log}.1")
    log.touch()
    write(old, "late\n")
    assert follower.lines() == [b"late"]
    write(old, "later\n")
    write(log, "new\n")
    assert sorted(follower.lines()) == [b"later", b"new"]
    write(old, "latest\n")
    assert follower.lines() == [b"latest"]


def test_a_log_that_is_cut_to_nothing(follow: Callable[..., Follower], log: Path) -> None:
    """copytruncate."""
    follower = follow(log)
    write(log, "one\n")
    assert follower.lines() == [b"one"]
    log.write_text("")
    write(log, "2\n")
    assert follower.lines() == [b"2"]


@pytest.mark.parametrize("rotated", [False, True])
def test_a_restart_goes_on_where_it_was(follow: Callable[..., Follower], log: Path, rotated: bool) -> None:
    follower = follow(log)
    write(log, "one\ntw")
    assert follower.lines() == [b"one"]
    kept = json.loads(json.dumps(follower.position))
    write(log, "o\n")
    if rotated:
        log.rename(f"{log}.1")
        write(log, "three\n")
    assert follow(log, kept).lines() == ([b"two", b"three"] if rotated else [b"two"])


def test_a_restart_after_two_rotations_takes_the_new_log_from_its_start(
    follow: Callable[..., Follower], log: Path
) -> None:
    kept = {"inode": log.stat().st_ino + 12345, "offset": 3}
    assert follow(log, kept).lines() == [b"before"]


def lines(counted: Counted) -> list[str]:
    return [each for each in counted.text() if not each.startswith("#")]


def test_a_new_series_is_shown_as_nothing_first() -> None:
    counted = Counted(Family("x", "y", ("a",)))
    counted.add(["1"], 5)
    assert lines(counted) == ['x{a="1"} 0']
    assert lines(counted) == ['x{a="1"} 5']
    again = Counted(Family("x", "y", ("a",)), json.loads(json.dumps(counted.as_data())))
    again.add(["1"])
    assert lines(again) == ['x{a="1"} 6']


def test_names_that_anybody_can_ask_for_don_t_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MOST", 3)
    counted = Counted(Family("x", "y", ("registry", "client", "repository", "outcome")))
    for number in range(10):
        counted.add(["hosted", f"c{number}", f"r{number}", "failed"])
    list(counted.text())
    assert lines(counted)[-1] == 'x{registry="hosted",client="other",repository="other",outcome="failed"} 7'
    assert len(lines(counted)) == 4


def test_bytes_and_lookups_slice_by_slice() -> None:
    """The first slice is in the line of the whole; the further ones' lines count what they fetched and found."""
    figures = Figures({ENDPOINT: "hub"})
    figures.request(GET)
    figures.request(replace(GET, slice=True, sent=1200, fetched=300, cache="HIT"))
    figures.request(replace(GET, method="PUT"))
    figures.request(replace(GET, repository="http-registry/canary"))
    figures.request(replace(GET, kind=""))
    # A hosted tag is always asked for; that its answer is kept is no lookup.
    figures.request(replace(GET, reference="1", cache="BYPASS", sent=0, fetched=0))
    list(figures.text())
    text = "\n".join(figures.text())
    assert 'http_registry_served_bytes_total{registry="hub"} 1000\n' in text
    assert 'http_registry_fetched_bytes_total{registry="hub"} 1500\n' in text
    assert 'http_registry_cache_lookups_total{registry="hub",result="hit"} 1\n' in text
    assert 'http_registry_cache_lookups_total{registry="hub",result="miss"} 1\n' in text


def pulled(at: float, *, failed: bool = False, seconds: float = 1.0) -> Pull:
    pull = Pull(ENDPOINT, "192.0.2.7", "docker/20", "docker", "a", "1", at - seconds, at)
    pull.objects["manifests/1"] = "missing" if failed else ""
    pull.blobs = not failed
    return pull


def test_the_summary_is_of_the_last_hour_and_has_a_day() -> None:
    figures = Figures({ENDPOINT: "hub"})
    figures.pull(pulled(NOW - 7200, failed=True))
    for number in range(100):
        figures.pull(pulled(NOW - 100, failed=number < 7, seconds=number / 10))
    figures.stored(NOW, 5000)
    found = Figures({ENDPOINT: "hub"}, json.loads(json.dumps(figures.as_data()))).summary(NOW, 9000)
    assert found["pull_success_rate"]["now"] == 0.93
    assert [value for _, value in found["pull_success_rate"]["history"]] == [0, 0.93]
    assert found["pull_seconds"]["average"] == pytest.approx(sum(range(7, 100)) / 930)
    assert found["pull_seconds"]["p95"] == pytest.approx(9.5)
    assert (found["storage_bytes"]["now"], found["storage_bytes"]["limit"]) == (5000, 9000)
    assert found["cache_hit_rate"] == {"now": None, "history": []}
    assert all(at % STEP == 0 for at, _ in found["pull_success_rate"]["history"])


@contextmanager
def answering(status: int, body: bytes = b"") -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=served.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()
    thread.join()


def config(folder: Path, *parts: Part) -> Config:
    return Config(
        "s", "g", ("127.0.0.1",), 0, "", 30, {ENDPOINT: "hub"}, ("hub",),
        {("cache", "hub"): (str(folder), 10_000_000), ("volume", "hosted"): (str(folder), 0)},
        parts, {"https://a": 1.5}, {}, "", "",
    )  # fmt: skip


@pytest.mark.parametrize(("status", "up"), [(200, True), (401, True), (404, True), (500, False), (503, False)])
def test_a_part_is_up_where_it_answers(tmp_path: Path, status: int, up: bool) -> None:
    with answering(status) as url:
        measured = Measured(config(tmp_path, Part("registry", "hosted", f"{url}/v2/")))
        assert [each["state"] for each in measured.parts()] == ["unknown"]
        measured.measure()
    assert [each["state"] for each in measured.parts()] == ["up" if up else "down"]
    assert f'http_registry_up{{kind="registry",name="hosted"}} {int(up)}' in list(measured.text())


def test_a_part_that_does_not_listen_is_down(tmp_path: Path) -> None:
    with answering(200) as url:
        pass
    measured = Measured(config(tmp_path, Part("upstream", "hub", url)))
    measured.measure()
    (part,) = measured.parts()
    assert (part["name"], part["state"]) == ("upstream hub", "down")
    assert "refused" in part["detail"]


def test_what_is_stored_and_the_most_that_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "blob").write_bytes(b"x" * 100_000)
    (tmp_path / "link").symlink_to("/usr")
    measured = Measured(config(tmp_path))
    measured.measure()
    used = int(measured.stored / 2)
    assert 100_000 <= used < 200_000
    text = list(measured.text())
    assert f'http_registry_stored_bytes{{kind="volume",registry="hosted"}} {used}' in text
    assert 'http_registry_stored_bytes_limit{kind="cache",registry="hub"} 10000000' in text
    assert measured.limit > shutil.disk_usage(tmp_path).free / 2


def test_one_port_for_all_metrics_of_the_machine() -> None:
    with answering(200, b"theirs 1\n") as theirs:
        relayed = {"/node": f"{theirs}/metrics", "/gone": "http://127.0.0.1:1/metrics"}
        ours = server("127.0.0.1", 0, "abc", lambda: "ours 1\n", relayed)
        thread = Thread(target=ours.serve_forever, args=(0.02,))
        thread.start()
        told = {
            path: got(ours.server_port, path) for path in ("/metrics", "/generation", "/node", "/gone", "/x", "/../etc")
        }
        ours.shutdown()
        ours.server_close()
        thread.join()
    assert told == {
        "/metrics": (200, b"ours 1\n"),
        "/generation": (200, b"abc"),
        "/node": (200, b"theirs 1\n"),
        "/gone": (502, told["/gone"][1]),
        "/x": (404, told["/x"][1]),
        "/../etc": (404, told["/x"][1]),
    }


def got(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()
