"""Decides what doctor says of a peer: it answers, nobody listens there, or it takes a connection and says nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from doctor import http_client
from doctor.finding import OK, SKIPPED
from doctor.pull import Image, Pull, Wanted
from doctor.steps import peer


def pull(url: str) -> Pull:
    return Pull("containerd", Image("docker.io", "library/app", "1"), Wanted(("http://m",), peer=url))


@contextmanager
def answering(status: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.handle_request, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize("status", [200, 401, 404])
def test_one_that_answers_is_well(status: int) -> None:
    with answering(status) as url:
        (seen,) = peer.look(pull(url))
    assert seen.state == OK, seen.said


def test_one_that_is_down_costs_nothing_and_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    (seen,) = peer.look(pull(url))
    assert (seen.state, "Connection refused" in seen.said) == (SKIPPED, True)
    assert "each request waits" not in seen.said


def test_one_that_is_silent_makes_every_request_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "PATIENCE", 1.1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        (seen,) = peer.look(pull(f"http://127.0.0.1:{listening.getsockname()[1]}"))
    assert (seen.state, "as long as each request waits" in seen.said) == (SKIPPED, True)


def test_without_a_peer_nothing_is_looked_at() -> None:
    assert peer.look(pull("")) == []
