"""The peer before the mirrors: whether it answers, and how soon.

No pull breaks at it: what it does not give comes from ours. But one that takes connections and says nothing makes each
request wait.
"""

from __future__ import annotations

import time
from typing import List
from urllib.parse import urlsplit

from doctor import http_client
from doctor.failures import said
from doctor.finding import OK, SKIPPED, Seen
from doctor.http_client import Place, Unanswered
from doctor.pull import Pull

STEP = "peer"
API = "/v2/"


def look(pull: Pull) -> List[Seen]:
    """One step where the pull has a peer, else none. Any answer of HTTP is one: it may have nothing, or want a name."""
    if not pull.wanted.peer:
        return []
    url = urlsplit(pull.wanted.peer)
    where = http_client.reached_by(pull.wanted.peer, Place("", 0, url.hostname or "", None))
    began = time.monotonic()
    try:
        http_client.ask(where, API, {})
    except Unanswered as no:
        took = time.monotonic() - began
        waits = f" within {took:.1f} s, as long as each request waits at least" if took > 1 else ""
        told = f"{pull.wanted.peer} gives no answer{waits} ({said(no.failure)}); everything comes from the mirror"
        return [Seen(STEP, SKIPPED, told)]
    return [Seen(STEP, OK, f"{pull.wanted.peer} answers within {max((time.monotonic() - began) * 1000, 1):.0f} ms")]
