"""One answer of one host: a request on stdin, a report on stdout, both JSON.

Request: `{"clock", "deadline", "pulls": [...], "serves": null or {...}}`. `clock`: the controller's, in seconds since
1970; `deadline`: seconds for all of it. Report: `{"pulls": [{"pull", "steps"}], "server": [steps], "seconds"}`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from typing import Any, Callable, Dict, List, Mapping, Tuple

from doctor import journals, server
from doctor.finding import BROKEN, OK, SKIPPED, Seen
from doctor.pull import Pull, read_pull
from doctor.steps import access, connection, content, name, peer, runtime, tls
from doctor.steps import host as host_step
from doctor.walk import Step, Walk, walked
from hostctl.errors import described
from hostctl.host import Host

AT_AN_ENDPOINT: Tuple[Step, ...] = (name.look, connection.look, tls.look, access.look, content.look, host_step.look)


def answer(host: Host, request: Mapping[str, Any]) -> Dict[str, Any]:
    """The report. All pulls are walked at once; what has not ended by the deadline is said so."""
    began, asked_at = time.monotonic(), time.time()
    pulls = [read_pull(each) for each in request["pulls"]]
    pool = ThreadPoolExecutor(len(pulls) + 1)
    walks = [pool.submit(_guarded, partial(walk, host, pull, request["clock"], asked_at)) for pull in pulls]
    served = pool.submit(_guarded, lambda: server.look(host, request["serves"]) if request["serves"] else [])
    wait([*walks, served], request["deadline"] - (time.monotonic() - began))
    return {
        "pulls": [
            {"pull": document, "steps": _documents(each, request["deadline"])}
            for document, each in zip(request["pulls"], walks)
        ],
        "server": _documents(served, request["deadline"]),
        "seconds": round(time.monotonic() - began, 2),
    }


def walk(host: Host, pull: Pull, clock: float, asked_at: float) -> List[Seen]:
    """One pull: what the runtime has in force, then each endpoint that the settings want asked, up to the first break.

    The real registry behind a mirror is not asked: that it is, where it must not be, is the runtime's step to say.
    Nor is a peer asked for the image.
    """
    first, endpoints = runtime.endpoints(host, pull)
    seen = [first, *(peer.look(pull) if first.state == OK else [])]
    asked: List[str] = []
    for endpoint in endpoints if first.state == OK else []:
        if endpoint.wanted and endpoint.url not in asked:
            asked.append(endpoint.url)
            seen += _at(Walk(host, pull, endpoint, clock, asked_at))
            if seen[-1].state == BROKEN:
                break
    return journals.evidence(host, pull, seen)


def _at(at: Walk) -> List[Seen]:
    """The steps at one endpoint; in clear where the runtime goes on to that, once HTTPS has not come about."""
    seen = walked(at, AT_AN_ENDPOINT)
    if at.endpoint.plain_too and seen[-1].state == BROKEN and seen[-1].step in ("connection", "tls"):
        plain = replace(at.endpoint, url=at.endpoint.url.replace("https://", "http://"), plain_too=False)
        seen = walked(replace(at, endpoint=plain), AT_AN_ENDPOINT)
    return seen


def _guarded(look: Callable[[], List[Seen]]) -> List[Seen]:
    """A fault of ours is a step that could not be taken; the others are told all the same."""
    try:
        return look()
    except Exception as fault:
        return [Seen("doctor", SKIPPED, f"doctor itself failed: {described(fault)}")]


def _documents(asked: Future[List[Seen]], deadline: float) -> List[Dict[str, Any]]:
    seen = asked.result() if asked.done() else [Seen("doctor", SKIPPED, f"no end within {deadline:g} s")]
    return [each.document() for each in seen]


def main() -> None:
    """Answer one request, and end at once: a thread that still waits for a dead server is not waited for."""
    report = answer(Host(), json.load(sys.stdin))
    print(json.dumps(report), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
