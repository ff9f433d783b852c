"""Pushes and pulls, piece by piece, over the registry API (OCI distribution-spec). A host's python3 can run it too."""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class Answer:
    """A status, headers by lower-case name, and the body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def data(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)


def digest(content: bytes) -> str:
    """The digest of a blob or manifest."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def descriptor(content: bytes, kind: str = "application/octet-stream") -> dict[str, Any]:
    """How a manifest names a blob or another manifest."""
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}


def image(config: bytes, layers: list[bytes]) -> bytes:
    """The manifest of an image."""
    config_type = "application/vnd.oci.image.config.v1+json"
    return _json(MANIFEST, config=descriptor(config, config_type), layers=[descriptor(each) for each in layers])


def index(manifests: list[bytes]) -> bytes:
    """The manifest of an image for several platforms."""
    return _json(INDEX, manifests=[descriptor(each, MANIFEST) for each in manifests])


def _json(kind: str, **rest: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": kind, **rest}).encode()


class Client:
    """Asks one registry; each request has a connection of its own. Redirects are followed."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, authority: str | None = None) -> None:
        self.url = url
        self.headers = dict(headers or {})
        self.context = ssl.create_default_context(cafile=authority) if authority else None

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request; `path` may be a URL. Header names are given with underscores."""
        url = path if "://" in path else self.url + path
        ours = url.startswith(self.url)
        sent = {**(self.headers if ours else {}), **{name.replace("_", "-"): value for name, value in headers.items()}}
        parts = urlsplit(url)
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.netloc, timeout=20, context=self.context
            )
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=20)
        try:
            connection.request(method, parts.path + ("?" + parts.query if parts.query else ""), body, sent)
            got = connection.getresponse()
            answer = Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
        finally:
            connection.close()
        return self.ask(method, answer.headers["location"]) if answer.status == 307 else answer

    def begin(self, repository: str) -> str:
        """Begin an upload; returns where it goes on."""
        return self._location(self.ask("POST", f"/v2/{repository}/blobs/uploads/", b""), 202)

    def send(self, place: str, part: bytes) -> str:
        """Send a part of a blob; returns where it goes on."""
        return self._location(self.ask("PATCH", place, part, Content_Type="application/octet-stream"), 202)

    def finish(self, place: str, content: bytes) -> None:
        """End the upload of `content`."""
        joint = "&" if "?" in place else "?"
        self._location(self.ask("PUT", f"{place}{joint}digest={digest(content)}", b""), 201)

    def upload(self, repository: str, content: bytes) -> str:
        """Upload a blob; returns its digest."""
        self.finish(self.send(self.begin(repository), content), content)
        return digest(content)

    def put(self, repository: str, reference: str, manifest: bytes) -> Answer:
        """Put a manifest under a tag or its own digest."""
        kind = json.loads(manifest)["mediaType"]
        return self.ask("PUT", f"/v2/{repository}/manifests/{reference}", manifest, Content_Type=kind)

    def push(self, repository: str, tag: str, config: bytes, *layers: bytes) -> bytes:
        """Push an image; returns its manifest."""
        for each in (config, *layers):
            self.upload(repository, each)
        manifest = image(config, list(layers))
        answer = self.put(repository, tag or digest(manifest), manifest)
        assert answer.status == 201, (answer.status, answer.body)
        return manifest

    def blob(self, repository: str, content: bytes) -> int:
        """The status of a blob's GET; a 200 has its content."""
        answer = self.ask("GET", f"/v2/{repository}/blobs/{digest(content)}")
        assert answer.status != 200 or answer.body == content
        return answer.status

    def pull(self, repository: str, reference: str) -> bytes | None:
        """Pull an image with all that it names; None if its manifest is not there. Fails where it is not whole."""
        answer = self.ask("GET", f"/v2/{repository}/manifests/{reference}", Accept=f"{MANIFEST}, {INDEX}")
        if answer.status == 404:
            return None
        assert answer.status == 200, (answer.status, answer.body)
        for each in answer.data.get("manifests", []):
            assert self.pull(repository, each["digest"]), f"{repository}: {each['digest']} is gone"
        for each in [answer.data[key] for key in ("config",) if key in answer.data] + answer.data.get("layers", []):
            got = self.ask("GET", f"/v2/{repository}/blobs/{each['digest']}")
            assert got.status == 200, f"{repository}: {each['digest']} is gone ({got.status})"
            assert digest(got.body) == each["digest"]
        return answer.body

    def _location(self, answer: Answer, status: int) -> str:
        assert answer.status == status, (answer.status, answer.body)
        place = answer.headers["location"]
        return place if "://" in place else self.url + place
