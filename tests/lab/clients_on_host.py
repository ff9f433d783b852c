"""Runs on a host, with a call as its last line: requests and what was answered, and many clients of one blob at once.

Each result is a line of JSON. Times are of the clock that all hosts of the lab share.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PIECE = 1 << 18
Pull = dict[str, Any]
Request = tuple[str, Mapping[str, str], str]
"""A path, headers, and the digest of what must come."""


def ask_each(requests: Iterable[tuple[str, str, Mapping[str, str]]]) -> None:
    """Ask one after the other, each a method, a URL and headers; print status, size, digest and headers of each answer.

    One that can't be asked, or that breaks off, has status 0 and says why.
    """
    for method, url, headers in requests:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        answer: dict[str, Any] = {"status": 0, "size": 0, "digest": "", "headers": {}, "body": ""}
        try:
            connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), headers=dict(headers))
            got = connection.getresponse()
            body = got.read()
            answer = {
                "status": got.status,
                "size": len(body),
                "digest": f"sha256:{hashlib.sha256(body).hexdigest()}",
                "headers": {name.lower(): value for name, value in got.getheaders()},
                "body": body[:10_000].decode(errors="replace"),
            }
        except (OSError, http.client.HTTPException) as broken:
            answer["body"] = repr(broken)
        finally:
            connection.close()
        print(json.dumps(answer))


def pull_at_once(
    address: str, path: str, headers: Mapping[str, str], clients: int, start: float, gone_after: int | None = None
) -> None:
    """Print a line of JSON for each client; all ask at `start`.

    `gone_after`: one more is there before them, and is gone after that many bytes, without a word.
    """
    pulls: list[Pull] = []
    threads = [threading.Thread(target=_pull, args=(address, path, headers, start, pulls)) for _ in range(clients)]
    if gone_after is not None:
        threads.append(threading.Thread(target=_pull, args=(address, path, headers, start - 0.2, [], gone_after)))
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for pull in pulls:
        print(json.dumps(pull))


def _pull(
    address: str, path: str, headers: Mapping[str, str], start: float, pulls: list[Pull], most: int | None = None
) -> None:
    hashed, size, first, last, wrong = hashlib.sha256(), 0, 0.0, 0.0, ""
    buffer = bytearray(PIECE)
    connection = http.client.HTTPConnection(address, timeout=60)
    status = 0
    time.sleep(max(0.0, start - time.monotonic()))
    try:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        status = answer.status
        while count := answer.readinto(buffer):
            first = first or time.monotonic()
            hashed.update(memoryview(buffer)[:count])
            size += count
            if most is not None and size >= most:
                break
        last = time.monotonic()
    except (OSError, http.client.HTTPException) as broken:
        wrong = repr(broken)
    finally:
        connection.close()
    pulls.append(
        {"status": status, "size": size, "digest": f"sha256:{hashed.hexdigest()}", "wrong": wrong}
        | {"first": first - start, "last": last - start}
    )


def pull_in_loops(address: str, requests: Sequence[Request], loops: int, until: str) -> None:
    """Pull all of it over and over until there is a file `until`. Every other loop keeps its connection.

    Print for each loop how many `requests` it made, how many it made `again` since its kept connection was gone before
    an answer began, as every client does, and what was `wrong`.
    """
    said: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=_loop, args=(address, requests, number % 2 == 0, until, said))
        for number in range(loops)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for line in said:
        print(json.dumps(line))


def _loop(address: str, requests: Sequence[Request], keeps: bool, until: str, said: list[dict[str, Any]]) -> None:
    count, again, wrong = 0, 0, []
    connection, fresh = http.client.HTTPConnection(address, timeout=30), True
    while not Path(until).exists():
        for path, headers, digest in requests:
            count += 1
            try:
                try:
                    status, got = _whole(connection, path, headers)
                except (ConnectionError, http.client.BadStatusLine):
                    if fresh:
                        raise
                    again += 1
                    connection.close()
                    status, got = _whole(connection, path, headers)
                if (status, got) != (200, digest):
                    wrong.append(f"{path}: {status} {got}")
            except (OSError, http.client.HTTPException) as broken:
                wrong.append(f"{path}: {broken!r}")
                connection.close()
            fresh = not keeps
            if not keeps:
                connection.close()
    connection.close()
    said.append({"requests": count, "again": again, "wrong": wrong})


def _whole(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
    connection.request("GET", path, headers=dict(headers))
    answer = connection.getresponse()
    hashed, buffer = hashlib.sha256(), bytearray(PIECE)
    expected = answer.length
    size = 0
    while count := answer.readinto(buffer):
        hashed.update(memoryview(buffer)[:count])
        size += count
    if size != expected:
        raise http.client.IncompleteRead(b"", (expected or 0) - size)
    return answer.status, f"sha256:{hashed.hexdigest()}"
