"""What skopeo does not ask a registry: digests by HEAD, which no rate limit counts; referrers; tags put and removed.

OCI distribution-spec 1.1; tokens: https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple
from urllib.parse import urlencode, urljoin, urlsplit

from offline_sync import manifests
from offline_sync.failure import Failure

PATIENCE = 60.0
TRIES = 6
HELD_OFF = 503
"""What our proxy answers to pushes while garbage is collected; it says Retry-After."""
MOST_PAGES, MOST_EMPTY, LONGEST_PATH = 10_000, 100, 8192
"""Of a list, and of it pages without a tag. A path that grows from page to page goes on for ever as well, and most
servers take none so long."""
MOST_BYTES = 64 << 20
"""Of an answer: of a manifest 4 MiB are usual, and a list may come in one page."""
WAIT, LONGEST_WAIT = 2.0, 30.0
"""Seconds before a push is tried again, where it is not said, and where too much is said."""
_TOKEN = re.compile(r"[!-~]+")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


@dataclass(frozen=True)
class Answer:
    """A status, the headers, the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Found:
    """A manifest that is there."""

    digest: str
    kind: str


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: the registry has what was asked for."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Registry:
    """One server. `url`: scheme, host, port. `ca`: PEM, whom it is believed besides those that everybody trusts.
    `login`: base64 of user and password, empty without one. Methods raise Failure where it gives no usable answer."""

    def __init__(self, url: str, ca: str = "", login: str = "") -> None:
        self.url = url
        self._login = login
        context = ssl.create_default_context()
        if ca:
            context.load_verify_locations(cadata=ca)
        secure = urllib.request.HTTPSHandler(context=context)
        self._opener = urllib.request.build_opener(secure)
        self._staying = urllib.request.build_opener(secure, _Stay())
        self._known: Dict[str, str] = {}
        self._no_referrers = False

    def greet(self) -> None:
        """It answers, and takes our login."""
        self._must("GET", "/v2/", "", (200,))

    def tags(self, repository: str) -> List[str]:
        """All of them; none where there is no such repository."""
        found: List[str] = []
        empty = 0
        path = f"/v2/{repository}/tags/list"
        seen: Set[str] = set()
        known: Set[str] = set()
        while path not in seen and len(seen) < MOST_PAGES and len(path) < LONGEST_PATH:
            seen.add(path)
            answer = self._must("GET", path, _pull(repository), (200, 404))
            if answer.status == 404:
                return found
            tags = _json(answer.body).get("tags")
            page = [each for each in tags if isinstance(each, str)] if isinstance(tags, list) else []
            empty += not page
            if empty > MOST_EMPTY or (page and known.issuperset(page)):
                break
            known.update(page)
            found += page
            following = _NEXT.search(answer.headers.get("link", ""))
            if not following:
                return found
            try:
                parts = urlsplit(urljoin(self.url + path, following[1]))
            except ValueError:
                raise Failure(f"{self.url}: GET {path}: names a next page that is no URL") from None
            path = f"{parts.path}?{parts.query}"
        raise Failure(f"{self.url}: GET {path[:200]}: the pages of this list do not end")

    def head(self, repository: str, reference: str) -> Optional[Found]:
        """A manifest by tag or digest; None where it is not there."""
        path = f"/v2/{repository}/manifests/{reference}"
        answer = self._must("HEAD", path, _pull(repository), (200, 404))
        if answer.status == 404:
            return None
        digest = answer.headers.get("docker-content-digest", "")
        if not manifests.DIGEST.fullmatch(digest):
            content = self._must("GET", path, _pull(repository), (200,)).body
            return Found(manifests.digest_of(content), manifests.kind_of(content))
        return Found(digest, answer.headers.get("content-type", ""))

    def referrers(self, repository: str, digest: str) -> List[Mapping[str, Any]]:
        """Descriptors of what names that image as its subject; none where the registry does not know the question."""
        if self._no_referrers:
            return []
        answer = self._ask("GET", f"/v2/{repository}/referrers/{digest}", _pull(repository))
        if answer.status != 200:
            self._no_referrers = True
            return []
        listed = _json(answer.body).get("manifests")
        found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        return [each for each in found if manifests.DIGEST.fullmatch(str(each.get("digest")))]

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether that repository has the blob."""
        answer = self._must("HEAD", f"/v2/{repository}/blobs/{digest}", _pull(repository), (200, 302, 303, 307, 404))
        return answer.status != 404

    def tag(self, repository: str, tag: str, content: bytes) -> None:
        """Put a manifest whose parts are there, under a tag or its own digest."""
        kind = {"Content-Type": manifests.kind_of(content)}
        self._must("PUT", f"/v2/{repository}/manifests/{tag}", _push(repository), (200, 201, 202), content, kind)

    def delete(self, repository: str, digest: str) -> bool:
        """Remove a manifest and what tags mean it; False where it was not there."""
        path = f"/v2/{repository}/manifests/{digest}"
        return self._must("DELETE", path, _push(repository, "delete"), (200, 202, 404)).status != 404

    def _must(
        self, method: str, path: str, scope: str, good: Tuple[int, ...], body: Optional[bytes] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Answer:  # fmt: skip
        answer = self._ask(method, path, scope, body, headers)
        for _ in range(TRIES):
            if answer.status != HELD_OFF:
                break
            time.sleep(_wait(answer.headers.get("retry-after", "")))
            answer = self._ask(method, path, scope, body, headers)
        if answer.status not in good:
            why = _why(answer)
            if answer.status in (401, 403):
                why += "; look at the user of this registry in offline_sync, and at its password"
            raise Failure(f"{self.url}: {method} {path}: status {answer.status}{why}")
        return answer

    def _ask(
        self, method: str, path: str, scope: str, body: Optional[bytes] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Answer:  # fmt: skip
        sent = {"Accept": ", ".join((*manifests.KINDS, "application/json")), **(headers or {})}
        answer = self._send(method, self.url + path, body, sent, self._known.get(scope))
        if answer.status == 401:
            authorization = self._authorization(answer.headers.get("www-authenticate", ""), scope)
            if authorization:
                self._known[scope] = authorization
                answer = self._send(method, self.url + path, body, sent, authorization)
        return answer

    def _authorization(self, challenge: str, scope: str) -> Optional[str]:
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic":
            return f"Basic {self._login}" if self._login else None
        if scheme.lower() != "bearer":
            return None
        said = dict(_PARAMETER.findall(rest))
        self._refuse_realm(said.get("realm", ""))
        query = {key: said[key] for key in ("service",) if key in said}
        joint = "&" if "?" in said.get("realm", "") else "?"
        place = said.get("realm", "") + joint + urlencode({**query, **({"scope": scope} if scope else {})})
        basic = f"Basic {self._login}" if self._login else None
        answer = self._send("GET", place, None, {}, basic)
        data = _json(answer.body) if answer.status == 200 else {}
        token = data.get("token") or data.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise Failure(f"{self.url}: its token server {said.get('realm')} gives no token: status {answer.status}")
        return f"Bearer {token}"

    def _refuse_realm(self, realm: str) -> None:
        """Raise Failure where the token server is none, or would be told a password in clear, which the registry itself
        is not."""
        scheme = realm.partition("://")[0].lower()
        if scheme == "https" or (scheme == "http" and self.url.startswith("http:")):
            return
        raise Failure(f"{self.url}: names a token server that is not asked ({scheme or 'none'}); it must be https")

    def _send(
        self, method: str, url: str, body: Optional[bytes], headers: Mapping[str, str], authorization: Optional[str]
    ) -> Answer:
        opener = self._opener if method == "GET" else self._staying
        try:
            request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310
            if authorization:
                request.add_unredirected_header("Authorization", authorization)
            try:
                response = opener.open(request, timeout=PATIENCE)
            except urllib.error.HTTPError as refused:
                response = refused
            with response:
                said = response.read(MOST_BYTES + 1)
                if len(said) > MOST_BYTES:
                    raise Failure(f"{self.url}: answers with more than {MOST_BYTES >> 20} MiB")
                if response.length:
                    raise http.client.IncompleteRead(said, response.length)
                return Answer(response.status, _lower(response.headers), said)
        except http.client.HTTPException as odd:
            raise Failure(f"{self.url}: gives no answer that is HTTP ({type(odd).__name__})") from None
        except (OSError, ValueError) as silent:
            reason = getattr(silent, "reason", silent)
            raise Failure(f"{self.url}: does not answer ({reason})") from None


def login(user: str, password: str) -> str:
    """As containers-auth.json(5) has it."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _wait(said: str) -> float:
    """Seconds, by a Retry-After (RFC 9110, 10.2.3); that it may be a date helps nobody whose clock is another."""
    return min(float(said), LONGEST_WAIT) if said.isascii() and said.isdigit() else WAIT


def _pull(repository: str) -> str:
    return f"repository:{repository}:pull"


def _push(repository: str, more: str = "push") -> str:
    return f"repository:{repository}:pull,{more}"


def _lower(headers: Message) -> Dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    return data if isinstance(data, dict) else {}


def _why(answer: Answer) -> str:
    errors = _json(answer.body).get("errors")
    listed = errors if isinstance(errors, list) else []
    told = [f"{each.get('code')} {each.get('message')}" for each in listed if isinstance(each, dict)]
    return f", {'; '.join(told)}" if told else ""
