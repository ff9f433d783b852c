"""Which requests are one pull.

What the runtimes ask for, seen of Docker 20.10 and 29, containerd 1.6 and 2.4: HEAD of the tag, GET of its manifest by
digest, GET of each blob. Docker 20.10 pings `/v2/` before, and asks for a tag by GET where the HEAD failed. Others ask
once more at once, up to six times: after a 5xx or a 429, with a password that is wrong, and of each server that their
hosts.toml names, where that is the same one twice. All ask again with a login after a 401.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from pull_metrics.access_log import Request
from pull_metrics.pull import Key, Pull

AT_ONCE = 0.05
"""Seconds within which a runtime asks the same again by itself; who pulls again by hand or in a loop takes longer."""
SOON = 1.0
"""Seconds within which it asks in another way, or with a login."""
WRITING = ("POST", "PUT", "PATCH", "DELETE")
CANARY = "http-registry/canary"
OURS = "http-registry-"
"""How the names begin under which this project's own programs ask; doctor asks for what a pull would."""

Pinger = Tuple[Tuple[str, int], str, str]


class Pulls:
    """Those under way. `quiet`: seconds without a request after which one has ended."""

    def __init__(self, quiet: float, data: Optional[Mapping[str, Any]] = None) -> None:
        self._quiet = quiet
        self._open: Dict[Key, List[Pull]] = {}
        self._refused: Dict[Pinger, Pull] = {}
        for each in (data or {}).get("open", []):
            pull = Pull.kept(each)
            self._open.setdefault(pull.key, []).append(pull)
        for each in (data or {}).get("refused", []):
            pull = Pull.kept(each)
            self._refused[pull.endpoint, pull.client, pull.agent] = pull

    def as_data(self) -> Dict[str, Any]:
        """As JSON has it."""
        under_way = [pull.as_data() for pulls in self._open.values() for pull in pulls]
        return {"open": under_way, "refused": [pull.as_data() for pull in self._refused.values()]}

    def take(self, request: Request) -> List[Pull]:
        """Count a request in; what has ended by that."""
        if request.agent.startswith(OURS):
            return []
        if request.path == "/v2/" or request.path == "/v2":
            return self._pinged(request)
        self._refused.pop((request.endpoint, request.client, request.agent), None)
        if request.method in WRITING:
            self._pushed(request)
            return []
        if request.kind == "manifests" and (request.method == "HEAD" or not request.by_digest):
            return self._asked(request)
        if request.kind and request.method == "GET":
            return self._fetched(request)
        return []

    def settle(self, now: float) -> List[Pull]:
        """What has ended because nothing was asked for any more."""
        ended = [pull for pulls in self._open.values() for pull in pulls if now - pull.ended > self._quiet]
        for pull in ended:
            self._close(pull)
        for pinger, pull in list(self._refused.items()):
            if now - pull.ended > self._quiet:
                ended.append(self._refused.pop(pinger))
        return ended

    def _pinged(self, request: Request) -> List[Pull]:
        """Docker 20.10 without a login asks no more than this, and then says that there is none."""
        pinger = (request.endpoint, request.client, request.agent)
        before = self._refused.pop(pinger, None)
        if request.status != 401 or request.user or request.runtime != "docker":
            return []
        pull = Pull.of(request)
        pull.objects[""] = "login"
        self._refused[pinger] = pull
        return [before] if before else []

    def _pushed(self, request: Request) -> None:
        """A push asks, before it writes, what is there: that was no pull."""
        name = request.repository or request.path[len("/v2/") :].partition("/blobs/uploads")[0]
        key = (request.endpoint, request.client, request.agent, name)
        for pull in [each for each in self._open.get(key, []) if each.only_asked]:
            self._close(pull)

    def _asked(self, request: Request) -> List[Pull]:
        """About a reference: the pull goes on, or another one begins."""
        key = (request.endpoint, request.client, request.agent, request.repository)
        before = [each for each in self._open.get(key, []) if each.reference == request.reference]
        if before and _goes_on(before[-1], request):
            before[-1].take(request)
            return []
        for each in before:
            self._close(each)
        self._begin(request)
        return before

    def _fetched(self, request: Request) -> List[Pull]:
        key = (request.endpoint, request.client, request.agent, request.repository)
        resolved = [each for each in self._open.get(key, []) if each.resolved]
        if resolved:
            max(resolved, key=lambda each: each.ended).take(request)
        elif request.kind == "manifests" or (request.status >= 400 and not request.slice):
            self._begin(request)  # else the rest of one that began before us
        return []

    def _begin(self, request: Request) -> None:
        if request.repository == CANARY:
            return  # hostctl's own proof
        pull = Pull.of(request)
        pull.take(request)
        self._open.setdefault(pull.key, []).append(pull)

    def _close(self, pull: Pull) -> None:
        self._open[pull.key].remove(pull)
        if not self._open[pull.key]:
            del self._open[pull.key]


def _goes_on(pull: Pull, request: Request) -> bool:
    """Whether a runtime asks about the same reference again within one pull."""
    method, status, user = pull.questions[-1] if pull.questions else ("", 0, "")
    if pull.resolved:
        return method == "HEAD" and request.method == "GET" and len(pull.objects) == 1
    waited = request.began - pull.asked
    other_way = method == "HEAD" and request.method == "GET"
    let_in = status == 401 and request.status != 401
    who_it_is = status == 401 and not user and bool(request.user)
    if other_way or let_in or who_it_is:
        return waited < SOON
    return method == request.method and waited < AT_ONCE
