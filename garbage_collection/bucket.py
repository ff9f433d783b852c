"""A bucket of an S3 store. Requests are signed as AWS describes it ("Signature Version 4")."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ssl
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import IO, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union
from urllib.parse import quote, unquote_plus, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from garbage_collection.stores import ROOT, File, Store

PATIENCE = 60.0
BATCH = 1000
"""Most keys that one DeleteObjects may name."""
TRIES = 3
LONGEST_NUMBER = 20
EMPTY = hashlib.sha256().hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
"""In place of a body's digest: the store does not check it."""


@dataclass(frozen=True)
class Place:
    """Where the bucket is. `ca`: PEM of authorities that are trusted besides the system's."""

    endpoint: str
    region: str
    bucket: str
    prefix: str = ""
    path_style: bool = True
    verify: bool = True
    ca: Optional[str] = None


@dataclass(frozen=True)
class Keys:
    """Who asks."""

    access: str
    secret: str


class Bucket(Store):
    """What of the bucket is below the prefix."""

    settle = 3.0

    def __init__(self, place: Place, keys: Keys) -> None:
        self._place = place
        self._keys = keys
        self._root = f"{place.prefix}/{ROOT}/".lstrip("/")
        parts = urlsplit(place.endpoint)
        self._host = parts.netloc if place.path_style else f"{place.bucket}.{parts.netloc}"
        self._above = f"/{place.bucket}" if place.path_style else ""
        self._context = _context(place) if parts.scheme == "https" else None
        self._connection: Optional[http.client.HTTPConnection] = None

    def listing(self) -> Iterator[File]:
        """Links first, as in Folder."""
        for top in ("repositories", "blobs"):
            yield from self.below(top)

    def below(self, top: str) -> Iterator[File]:
        """Like listing, of one folder."""
        token: Optional[str] = None
        while True:
            query = {"list-type": "2", "encoding-type": "url", "prefix": f"{self._root}{top}/"}
            page = _xml(self._ask("GET", "", {**query, **({"continuation-token": token} if token else {})}))
            for each in page.iterfind("Contents"):
                key = unquote_plus(each.findtext("Key", ""))
                changed, tag = each.findtext("LastModified", ""), each.findtext("ETag", "")
                size = _number(each.findtext("Size", "0"))
                if "/_uploads/" not in key:
                    # An ETag alone is the content's, but for stores that make it of something else.
                    mark = f"{changed} {tag}" if tag else ""
                    yield File(key[len(self._root) :], _seconds(changed.replace("Z", "+00:00")), size, mark)
            token = page.findtext("NextContinuationToken")
            if not token:
                break

    def read(self, path: str) -> bytes:
        """See Store."""
        return self._ask("GET", self._root + path)

    def write(self, path: str, content: bytes) -> None:
        """See Store."""
        self._ask("PUT", self._root + path, body=content)

    def remove(self, paths: Iterable[str]) -> None:
        """In batches."""
        keys = [self._root + each for each in paths]
        for start in range(0, len(keys), BATCH):
            named = "".join(f"<Object><Key>{escape(each)}</Key></Object>" for each in keys[start : start + BATCH])
            body = (
                f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>{named}</Delete>'.encode()
            )
            md5 = base64.b64encode(hashlib.md5(body).digest()).decode()  # noqa: S324  what the API asks for
            answer = _xml(self._ask("POST", "", {"delete": ""}, body, {"content-md5": md5}))
            refused = answer.find("Error")
            if refused is not None:
                raise OSError(f"{refused.findtext('Key')}: the store does not remove it ({refused.findtext('Code')})")

    def stream(self, path: str) -> http.client.HTTPResponse:
        """A file of any size, to be read before the next request. Raises FileNotFoundError."""
        response = self._send("GET", path, b"", EMPTY, {})
        if response.status != 200:
            answer = response.read()
            if response.status == 404:
                raise FileNotFoundError(path)
            raise OSError(f"{self._place.endpoint}: GET {path}: status {response.status}, {_code(answer)}")
        return response

    def store(self, path: str, content: IO[bytes], size: int, digest: str) -> None:
        """Make a file of that size. `digest`: the SHA-256 by which the store checks it, or UNSIGNED."""
        response = self._send("PUT", path, content, digest, {"content-length": str(size)})
        answer = response.read()
        if response.status // 100 != 2:
            raise OSError(f"{self._place.endpoint}: PUT {path}: status {response.status}, {_code(answer)}")

    def _send(
        self, method: str, path: str, body: Union[bytes, IO[bytes]], digest: str, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """A request that is not repeated."""
        target = quote(f"{self._above}/{self._root}{path}", safe="/-_.~")
        connection = self._connected()
        try:
            signed = self._signed(method, target, "", digest, headers)
            connection.request(method, target, body, dict(signed))
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as silent:
            self._connection = None
            raise OSError(f"{self._place.endpoint}: does not answer ({silent})") from silent

    def _ask(
        self,
        method: str,
        key: str,
        query: Optional[Mapping[str, str]] = None,
        body: bytes = b"",
        headers: Optional[Mapping[str, str]] = None,
    ) -> bytes:
        """The body of an answer of status 2xx. Each of the requests here may be repeated."""
        path = quote(f"{self._above}/{key}", safe="/-_.~")
        asked = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted((query or {}).items()))
        for attempt in range(1, TRIES + 1):
            sent = self._signed(method, path, asked, hashlib.sha256(body).hexdigest(), headers or {})
            try:
                status, answer = self._exchange(method, path + (f"?{asked}" if asked else ""), body, sent)
            except (OSError, http.client.HTTPException) as silent:
                self._connection = None
                if attempt == TRIES:
                    raise OSError(f"{self._place.endpoint}: does not answer ({silent})") from silent
                continue
            if status // 100 == 2:
                return answer
            if status == 404 and method == "GET" and key:
                raise FileNotFoundError(key)
            if status < 500 or attempt == TRIES:
                raise OSError(f"{self._place.endpoint}: {method} {path}: status {status}, {_code(answer)}")
        raise AssertionError

    def _exchange(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Tuple[int, bytes]:
        connection = self._connected()
        connection.request(method, target, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read()

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            if self._context:
                self._connection = http.client.HTTPSConnection(self._host, timeout=PATIENCE, context=self._context)
            else:
                self._connection = http.client.HTTPConnection(self._host, timeout=PATIENCE)
        return self._connection

    def _signed(self, method: str, path: str, query: str, content: str, headers: Mapping[str, str]) -> Dict[str, str]:
        """`content`: the body's SHA-256."""
        now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        sent = {**headers, "host": self._host, "x-amz-content-sha256": content, "x-amz-date": now}
        names = ";".join(sorted(sent))
        lines = [method, path, query, *(f"{name}:{sent[name]}" for name in sorted(sent)), "", names, content]
        scope = [now[:8], self._place.region, "s3", "aws4_request"]
        canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        to_sign = "\n".join(["AWS4-HMAC-SHA256", now, "/".join(scope), canonical])
        key = f"AWS4{self._keys.secret}".encode()
        for each in [*scope, to_sign]:
            signature = hmac.new(key, each.encode(), hashlib.sha256)
            key = signature.digest()
        credential = f"{self._keys.access}/{'/'.join(scope)}"
        authorization = f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={key.hex()}"
        return {**sent, "authorization": authorization}


def _context(place: Place) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if place.ca:
        context.load_verify_locations(cadata=place.ca)
    if not place.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _xml(answer: bytes) -> ElementTree.Element:
    """An answer without its namespaces."""
    try:
        found = ElementTree.fromstring(answer)  # noqa: S314  from the store that keeps the images
    except (ElementTree.ParseError, LookupError, ValueError) as odd:  # the latter two: an encoding of its own
        raise OSError(f"the store answers with something else than XML ({odd})") from odd
    stack: List[ElementTree.Element] = [found]
    while stack:
        each = stack.pop()
        each.tag = each.tag.rpartition("}")[2]
        stack.extend(each)
    return found


def _code(answer: bytes) -> str:
    try:
        return _xml(answer).findtext("Code") or "without a reason"
    except OSError:
        return "without a reason"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > LONGEST_NUMBER:
        raise OSError(f"the store tells a size that can't be read: {text[:LONGEST_NUMBER]}")
    return int(text)


def _seconds(moment: str) -> float:
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError as odd:  # Python 3.9 reads three or six digits behind the dot
        try:
            return datetime.strptime(moment[:19] + "+0000", "%Y-%m-%dT%H:%M:%S%z").timestamp()
        except ValueError:
            raise OSError(f"the store tells a time that can't be read: {odd}") from odd
