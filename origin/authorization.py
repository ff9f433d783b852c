"""What a registry wants to hear before it gives anything: tokens of its token server, or Basic auth.

Token flow: https://distribution.github.io/distribution/spec/auth/token/. Challenges: RFC 9110, 11.6.1.
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Dict, Iterable, List, Mapping, Optional, Tuple
from urllib.parse import urlencode

from origin.config import Registry
from origin.connections import Pool, basic
from origin.failures import BrokenOff, Failure, NoAnswer
from origin.urls import Server, parsed

LIFETIME = 60.0
"""Seconds that a token lives where its server does not say, as the token flow has it."""
LONGEST = 86400.0 * 366
"""Seconds: a token server that says more, or no number, is not understood."""
MARGIN = 10.0
"""A token is renewed so long before it ends, but not before half its life."""
LARGEST = 1 << 20
MOST_REPOSITORIES = 10_000

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))\s*(?:,|$)')
_SCHEME = re.compile(rf"\s*({_WORD})(?:\s+|$)")


@dataclass(frozen=True)
class Challenge:
    """A scheme in lower case, and its parameters."""

    scheme: str
    parameters: Mapping[str, str]


def challenges(headers: Iterable[str]) -> List[Challenge]:
    """All challenges of an answer's WWW-Authenticate headers; what can't be read ends its header."""
    found = []
    for header in headers:
        position = 0
        while scheme := _SCHEME.match(header, position):
            position = scheme.end()
            parameters: Dict[str, str] = {}
            while parameter := _PARAMETER.match(header, position):
                position = parameter.end()
                name, quoted, plain = parameter.groups()
                parameters[name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found.append(Challenge(scheme[1].lower(), parameters))
    return found


@dataclass
class _Repository:
    """What is known of one repository: what it has challenged us with, and our answer until it ends."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    challenge: Optional[Challenge] = None
    answer: Optional[str] = None
    until: float = 0.0
    failed: float = 0.0
    failure: Optional[Failure] = None


class Authorizations:
    """Our Authorization for each repository of one registry, asked for once by any number of fetches at a time."""

    def __init__(self, registry: Registry, pool: Pool) -> None:
        self._registry = registry
        self._pool = pool
        self._repositories: Dict[str, _Repository] = {}
        self._lock = threading.Lock()

    def known(self, repository: str, base: Server) -> Optional[str]:
        """What to send at first, renewed where it has ended; None where nothing was ever asked for. Raises Failure."""
        with self._lock:
            entry = self._repositories.get(repository)
        if entry is None or entry.challenge is None:
            return None
        return self._current(entry, entry.challenge, repository, base, None)

    def after(self, repository: str, base: Server, headers: Iterable[str], refused: Optional[str]) -> Optional[str]:
        """What to send after `refused` got a 401 with these WWW-Authenticate headers; None where there is nothing else.

        Raises Failure where the token server gives no token.
        """
        offered = {each.scheme: each for each in reversed(challenges(headers))}
        challenge = offered.get("bearer") or offered.get("basic")
        if challenge is None or (challenge.scheme == "basic" and not self._registry.user):
            return None
        with self._lock:
            if len(self._repositories) >= MOST_REPOSITORIES:
                self._repositories.clear()
            entry = self._repositories.setdefault(repository, _Repository())
        answer = self._current(entry, challenge, repository, base, refused)
        return None if answer == refused else answer

    def _current(
        self, entry: _Repository, challenge: Challenge, repository: str, base: Server, refused: Optional[str]
    ) -> Optional[str]:
        came = time.monotonic()
        with entry.lock:
            if entry.answer is not None and entry.answer != refused and time.monotonic() < entry.until:
                return entry.answer
            if entry.failure is not None and entry.failed >= came:
                raise entry.failure  # of the one that we have waited for
            entry.challenge = challenge
            try:
                entry.answer, lifetime = self._answer(challenge, repository, base)
                entry.until = time.monotonic() + max(lifetime - MARGIN, lifetime / 2)
            except Failure as failure:
                # The next request asks the registry first: it may challenge otherwise by then.
                entry.challenge = entry.answer = None
                entry.failure, entry.failed = failure, time.monotonic()
                raise
            return entry.answer

    def _answer(self, challenge: Challenge, repository: str, base: Server) -> Tuple[str, float]:
        login = f"{self._registry.user}:{self._registry.password}" if self._registry.user else None
        if challenge.scheme == "basic":
            return basic(login or ""), float("inf")
        server, target = _token_request(challenge, repository, base)
        headers = {"Accept": "application/json", **({"Authorization": basic(login)} if login else {})}
        answer = self._pool.ask(server, "GET", target, headers)
        try:
            if answer.status in (401, 403):
                raise Failure(403, f"the token server {server} refuses {'this login' if login else 'anonymous pulls'}")
            if answer.status == 429:
                wait = answer.headers.get("Retry-After")
                raise Failure(429, f"the token server {server} has had too many", {"Retry-After": wait} if wait else {})
            if answer.status != 200:
                raise NoAnswer(502, f"the token server {server} answers with status {answer.status}")
            return _token(answer.body(LARGEST))
        except (BrokenOff, ValueError):
            raise NoAnswer(502, f"the token server {server} gives no token that can be read") from None
        finally:
            answer.end()


def _token_request(challenge: Challenge, repository: str, base: Server) -> Tuple[Server, str]:
    try:
        server, target = parsed(challenge.parameters.get("realm", ""))
    except ValueError as wrong:
        raise Failure(502, f"{base} names no token server that can be asked ({wrong})") from None
    if base.scheme == "https" and server.scheme == "http":
        # Neither a password nor a token goes out in clear where the registry itself speaks TLS.
        raise Failure(502, f"{base} names a token server without TLS ({server}); it is not asked")
    query = [("service", each) for each in [challenge.parameters.get("service")] if each]
    scopes = challenge.parameters.get("scope") or f"repository:{repository}:pull"
    query += [("scope", each) for each in scopes.split()]
    return server, f"{target}{'&' if '?' in target else '?'}{urlencode(query)}"


def _token(text: bytes) -> Tuple[str, float]:
    """The Authorization and its life in seconds. Raises ValueError."""
    try:
        data = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(data, dict):
        raise ValueError("no object")
    token = data.get("token") or data.get("access_token")
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
        raise ValueError("no token")
    lifetime = data.get("expires_in")
    if isinstance(lifetime, bool) or not isinstance(lifetime, (int, float)) or not 0 < lifetime <= LONGEST:
        lifetime = LIFETIME
    return f"Bearer {token}", float(lifetime)
