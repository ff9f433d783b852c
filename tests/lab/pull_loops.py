"""Runs on a host, after tests/registry_client.py in one text: loops of whole pulls, until they are told to end."""

from __future__ import annotations

import http.client
import json
import threading
import time
from pathlib import Path
from typing import Any

from tests.registry_client import Client

MOST_SECONDS = 50.0


Job = tuple[Client, str, list[str]]
"""Who pulls which tags of which repository."""


def pull_in_loops(jobs: list[Job], loops: int, stop: str) -> None:
    """`loops` for each job pull one tag after the other until the file `stop` is there.

    Prints one line of JSON: how many `pulls` there were, and why each that was `lost` was.
    """
    pulls: list[str] = []
    lost: list[str] = []
    ends = time.monotonic() + MOST_SECONDS

    def loop(client: Client, repository: str, tags: list[str], place: int) -> None:
        while not Path(stop).exists() and time.monotonic() < ends:
            tag = tags[place % len(tags)]
            place += 1
            try:
                assert client.pull(repository, tag), "404"
                pulls.append(tag)
            except (OSError, http.client.HTTPException, AssertionError) as why:
                lost.append(f"{time.time():.2f} {client.url} {repository}:{tag} {type(why).__name__} {why}"[:300])

    threads = [
        threading.Thread(target=loop, args=(*job, number * len(job[2]) // loops))
        for job in jobs
        for number in range(loops)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    told: dict[str, Any] = {"pulls": len(pulls), "lost": lost}
    print(json.dumps(told))
