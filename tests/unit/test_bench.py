"""Decides what `make bench` serves beside what, and when it says that a goal is met."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench import places, site
from bench.on_host import load
from bench.report import Row, Section, markdown
from documents.document import Document
from settings.server_certificates import ServerCertificate

CERTIFICATES = {"mirror-tls": ServerCertificate("c.pem", "PEM\n", datetime(2030, 1, 1, tzinfo=UTC), False, "ab")}
LIVE = (
    "/etc/nginx/",
    "/etc/http-registry",
    "/var/cache/nginx",
    "/var/log/nginx",
    "/run/http-registry-nginx",
    "/usr/local",
)


def rendered() -> list[Document]:
    files, optional = site.product(places.tier("c.pem"), CERTIFICATES, "KEY\n")
    return [*files, *(each.document for each in optional), site.rivals(), site.nginx_unit()]


def test_nothing_of_the_bench_lies_where_the_live_stack_has_its_files() -> None:
    for each in rendered():
        assert each.path.startswith((f"{places.FOLDER}/", f"{site.UNITS}/{places.NAME}")), each.path


@pytest.mark.parametrize("live", LIVE)
def test_nothing_of_the_bench_names_a_place_of_the_live_stack(live: str) -> None:
    # The program is the product's own text: its comments may.
    found = [each.path for each in rendered() if live in each.text and not each.path.endswith(".py")]
    assert found == []


def test_every_port_is_another_one() -> None:
    tier = places.tier("c.pem")
    assert tier.proxy
    rivals = (places.STATIC, places.STATIC_TLS, places.LOCKED, places.PLAIN, places.PLAIN_LOCKED)
    ports = [*(each.port for each in tier.proxy.endpoints), *rivals, places.REGISTRY_PORT, places.PULL_THROUGH_PORT]
    assert len({*ports}) == len(ports)


def test_the_keys_of_the_files_that_hold_secrets_are_root_s_or_the_workers() -> None:
    modes = {each.path.rpartition("/")[2]: each.mode for each in rendered()}
    assert modes["mirror-tls.key"] == 0o600
    assert modes["pull.htpasswd"] == modes["push.htpasswd"] == 0o640


@pytest.mark.parametrize(
    ("ratio", "goal", "bound", "met"),
    [
        (0.951, 0.95, "at least", True),
        (0.944, 0.95, "at least", False),
        (0.946, 0.95, "at least", True),  # it counts as it is shown: 0.95
        (1.2, 1.2, "at most", True),
        (1.21, 1.2, "at most", False),
        (1.0001, 1.0, "at most", True),
        (3.0, None, "at least", None),
    ],
)
def test_a_goal_is_met_where_the_shown_ratio_is(ratio: float, goal: float | None, bound: str, met: bool | None) -> None:
    assert Row("a", "b", "c", ratio, goal, bound).met is met  # type: ignore[arg-type]


def test_the_page_says_what_was_missed() -> None:
    rows = [Row("one", "1 s", "2 s", 0.5, 0.75), Row("two", "1 x", "8 x")]
    page = markdown("# Benchmarks\n", {"cores": "2"}, [Section("Warm", "How.", rows)])
    assert page.splitlines() == [
        "# Benchmarks", "", "| machine |  |", "| --- | --- |", "| cores | 2 |", "", "## Warm", "", "How.", "",
        "| what | ours | compared with | ratio | goal | met |", "| --- | --- | --- | --- | --- | --- |",
        "| one | 1 s | 2 s | 0.50 | at least 0.75 | no |", "| two | 1 x | 8 x |  |  |  |",
    ]  # fmt: skip


class Answering(BaseHTTPRequestHandler):
    """`/NUMBER`: so many bytes; `/short`: fewer than promised; all else is missing."""

    def do_GET(self) -> None:
        size = {"/short": 5000}.get(self.path) or int(self.path[1:] if self.path[1:].isdigit() else 0)
        self.send_response(200 if size else 404)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(b"x" * (size if self.path != "/short" else 4000))

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as live:
        thread = threading.Thread(target=live.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{live.server_address[1]}"
        live.shutdown()
        thread.join()


@pytest.mark.parametrize("size", [1, 5000, 3_000_000])
def test_the_clients_wait_for_every_byte(server: str, size: int) -> None:
    seen = load.together(f"{server}/{size}", 8)
    assert 0 < seen["first"] <= seen["wall"] < 20


@pytest.mark.parametrize(("path", "said"), [("short", "1000 bytes early"), ("missing", "404")])
def test_a_bad_answer_is_no_measurement(server: str, path: str, said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        load.together(f"{server}/{path}", 1)


def test_turns_are_as_many_as_wanted(server: str) -> None:
    found = load.turns({"a": f"{server}/10", "b": f"{server}/20"}, 3)
    assert {name: len(each) for name, each in found.items()} == {"a": 3, "b": 3}
