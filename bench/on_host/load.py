"""Clients of a large blob, as many as wanted, from one thread; what they receive is dropped in the kernel.

`load.py` reads a job from stdin and prints what it saw. `{"do": "turns", "urls": {name: url}, "rounds": n}`: one client
at a time, the URLs in turn; seconds by name. `{"do": "together", "url": url, "clients": n, "authorization": a}`: all at
once; wall time and the first byte of the slowest, in seconds. A wrong status or length fails the job.
"""

from __future__ import annotations

import json
import random
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

MOST = 1 << 20


class Client:
    """One GET on a connection of its own."""

    def __init__(self, url: str, authorization: str) -> None:
        parts = urlsplit(url)
        self.connection = socket.create_connection((parts.hostname, parts.port or 80), timeout=60)
        lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
        lines += [f"Authorization: {authorization}"] if authorization else []
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode())
        self.connection.setblocking(False)
        self.head = b""
        self.left = -1
        self.first = self.last = 0.0

    def read(self, buffer: bytearray) -> bool:
        """What is there now; whether it was the end."""
        if self.left < 0:
            self.head += self.connection.recv(4096)
            head, found, body = self.head.partition(b"\r\n\r\n")
            if not found:
                return False
            fields = head.decode().lower().split("\r\n")
            lengths = [each.partition(":")[2] for each in fields if each.startswith("content-length:")]
            if fields[0].split()[1] != "200" or not lengths:
                raise SystemExit(f"load: the answer is {fields[0]!r}, or has no length")
            self.left = int(lengths[0]) - len(body)
            if body:
                self.first = time.monotonic()
        else:
            # The bytes are counted, not copied: the server is what is measured.
            size = self.connection.recv_into(buffer, min(MOST, self.left), socket.MSG_TRUNC)
            if size == 0:
                raise SystemExit(f"load: the answer ends {self.left} bytes early")
            self.first = self.first or time.monotonic()
            self.left -= size
        if self.left:
            return False
        self.last = time.monotonic()
        return True


def together(url: str, clients: int, authorization: str = "") -> dict[str, float]:
    """All at once."""
    buffer = bytearray(MOST)
    began = time.monotonic()
    with selectors.DefaultSelector() as selector, ExitStack() as connections:
        found = [Client(url, authorization) for _ in range(clients)]
        for each in found:
            connections.callback(each.connection.close)
            selector.register(each.connection, selectors.EVENT_READ, each)
        while selector.get_map():
            for key, _ in selector.select(120) or sys.exit("load: nothing comes for two minutes"):
                if key.data.read(buffer):
                    selector.unregister(key.fileobj)
    return {"wall": max(each.last for each in found) - began, "first": max(each.first for each in found) - began}


def turns(urls: dict[str, str], rounds: int, authorization: str = "") -> dict[str, list[float]]:
    """One client at a time; those of HTTPS are curl, which has to decrypt what it drops."""
    found: dict[str, list[float]] = {name: [] for name in urls}
    for _ in range(rounds):
        for name in random.sample(sorted(urls), len(urls)):
            url = urls[name]
            if url.startswith("https:"):
                found[name].append(curl(url))
            else:
                found[name].append(together(url, 1, authorization)["wall"])
    return found


def curl(url: str) -> float:
    """Seconds that curl takes."""
    said = subprocess.run(
        ["curl", "-sfk", "-o", "/dev/null", "-w", "%{time_total}", url], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(said.stdout)


if __name__ == "__main__":
    job: dict[str, Any] = json.load(sys.stdin)
    jobs: dict[str, Callable[..., Any]] = {"turns": turns, "together": together}
    print(json.dumps(jobs[job.pop("do")](**job)))
