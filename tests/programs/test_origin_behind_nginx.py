"""Decides what many clients of a cold blob cost: a real nginx with slices and a lock before the real origin service."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.free_port import free_port
from tests.programs.hub import Hub
from tests.programs.nginx import running
from tests.programs.origin_service import Origin

BLOB = os.urandom((40 << 20) + 12345)
DIGEST = "sha256:" + "ab" * 32
PATH = f"/v2/library/app/blobs/{DIGEST}"
RATE = 24e6
SLICES = 6
CONFIG = """\
daemon off; user root; worker_processes 2; pid {folder}/pid; error_log {folder}/error.log warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s; proxy_temp_path {folder}/proxy;
    proxy_cache_path {folder}/cache keys_zone=blobs:1m inactive=1h;
    upstream origin {{ server unix:{socket}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        location ~ ^/v2/.+/blobs/(?<digest>[^/]+)$ {{
            slice 8m;
            proxy_cache blobs; proxy_cache_key "$digest $slice_range"; proxy_cache_valid 200 206 1h;
            proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h;
            proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Range $slice_range;
            proxy_pass http://origin/hub$uri;
        }}
    }}
}}
"""


@dataclass
class Front:
    port: int
    hub: Hub
    origin: Origin

    def pull(self, most: int | None = None) -> tuple[int, float, float]:
        """Status and bytes that were right, seconds to the first byte and to the last one, or to `most` bytes."""
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", PATH)
        answer = connection.getresponse()
        position, first = 0, 0.0
        while piece := answer.read1(1 << 20):
            first = first or time.monotonic() - began
            assert piece == BLOB[position : position + len(piece)]
            position += len(piece)
            if most is not None and position >= most:
                break
        connection.close()
        return position, first, time.monotonic() - began


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    hub = Hub({DIGEST: BLOB}, rate=RATE)
    origin = Origin(tmp_path, {"hub": {"bases": [hub.url(hub.registry)]}})
    live = Front(free_port(), hub, origin)
    config = tmp_path / "nginx.conf"
    config.write_text(CONFIG.format(folder=tmp_path, socket=origin.socket, port=live.port))

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=5)
        connection.request("GET", "/")
        connection.getresponse()
        connection.close()

    try:
        with running(config, ask):
            yield live
    finally:
        origin.close()
        hub.close()


def test_eight_cold_clients_are_one_fetch_that_reaches_all_while_it_runs(front: Front) -> None:
    with ThreadPoolExecutor(8) as clients:
        pulls = list(clients.map(lambda _: front.pull(), range(8)))
    assert [size for size, _, _ in pulls] == [len(BLOB)] * 8
    assert (front.hub.counts["bytes"], front.hub.counts["store"]) == (len(BLOB), SLICES)
    assert (front.hub.counts["tokens"], front.hub.counts["registry GET"]) == (1, 2)
    firsts, lasts = sorted(first for _, first, _ in pulls), sorted(last for _, _, last in pulls)
    print(f"first bytes {firsts[0]:.2f} to {firsts[-1]:.2f} s, last bytes {lasts[0]:.2f} to {lasts[-1]:.2f} s")
    assert firsts[-1] < lasts[0]
    front.pull()
    assert front.hub.counts["bytes"] == len(BLOB)


def test_a_first_client_that_goes_away_costs_nothing(front: Front) -> None:
    with ThreadPoolExecutor(8) as clients:
        gone = clients.submit(front.pull, 1 << 20)
        time.sleep(0.05)
        pulls = list(clients.map(lambda _: front.pull(), range(7)))
    assert gone.result()[0] < 8 << 20
    assert [size for size, _, _ in pulls] == [len(BLOB)] * 7
    assert front.hub.counts["bytes"] == len(BLOB)
    print(f"last bytes {max(last for _, _, last in pulls):.2f} s")


def test_what_breaks_off_is_fetched_again_and_never_kept(front: Front) -> None:
    front.hub.cut_after = 5 << 20
    assert front.pull()[0] < 8 << 20
    front.hub.cut_after = None
    assert front.pull()[0] == len(BLOB)


def test_an_update_of_the_service_loses_no_pull(front: Front) -> None:
    with ThreadPoolExecutor(4) as clients:
        pulls = [clients.submit(front.pull) for _ in range(4)]
        for _ in range(3):
            time.sleep(0.4)
            front.origin.terminate()
            front.origin.process.wait(timeout=10)
            front.origin.start()
        assert [each.result()[0] for each in pulls] == [len(BLOB)] * 4
    assert front.hub.counts["bytes"] == len(BLOB)
