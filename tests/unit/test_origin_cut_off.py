"""Decides what a server costs the origin service's clients that swallows what is sent to it: one wait, and no more."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest

from origin import connections
from origin.config import Registry
from origin.connections import Pool
from origin.failures import NoAnswer
from origin.urls import Server

WAIT = 0.4


def seconds(ask: Callable[[], object]) -> float:
    since = time.monotonic()
    with pytest.raises(NoAnswer, match="can't be reached") as raised:
        ask()
    assert raised.value.status == 504
    return time.monotonic() - since


class Pong(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_the_first_waits_and_who_asks_after_the_end_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux drops who dials a socket whose queue is full."""
    monkeypatch.setattr(connections, "CONNECT_SECONDS", WAIT)
    monkeypatch.setattr(connections, "RETRY_SECONDS", 0.05)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        queued = socket.create_connection(listener.getsockname())
        server = Server("http", "127.0.0.1", listener.getsockname()[1])
        pool = Pool(Registry("r", (server,)))
        assert seconds(lambda: pool.ask(server, "GET", "/", {})) >= WAIT
        assert max(seconds(lambda: pool.ask(server, "GET", "/", {})) for _ in range(3)) < WAIT / 2
        queued.close()

        def serve() -> None:
            while True:
                try:
                    connection, place = listener.accept()
                except OSError:
                    return
                Pong(connection, place, None)  # type: ignore[arg-type]
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        deadline = time.monotonic() + 20
        while True:
            try:
                answer = pool.ask(server, "GET", "/", {})
                break
            except NoAnswer:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert answer.status == 200
        answer.end()
        listener.shutdown(socket.SHUT_RDWR)
