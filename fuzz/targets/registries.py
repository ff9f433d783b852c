"""What registries, token servers and object stores say, and what images are made of."""

from __future__ import annotations

import base64
import json
from typing import Any

from doctor import login as doctor_login
from doctor.http_client import Answer, Place
from doctor.steps import reference
from fuzz.target import Target, chosen, promised, texts
from garbage_collection import bucket, contents
from offline_sync import manifests, selectors
from offline_sync.failure import Failure
from origin import authorization, urls
from origin.failures import Failure as OriginFailure

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
INDEX: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": manifests.INDEX,
    "manifests": [
        {
            "mediaType": manifests.MANIFEST,
            "digest": A,
            "size": 2,
            "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"},
        },
        {
            "digest": B,
            "size": 3,
            "annotations": {manifests.PROOF_OF: A},
            "platform": {"os": "unknown", "architecture": "unknown"},
        },
    ],
}
MANIFEST: dict[str, Any] = {
    "schemaVersion": 2,
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": A, "size": 7},
    "layers": [{"digest": B, "size": 8, "urls": ["https://x"]}],
    "subject": {"digest": B, "size": 1},
}
SCHEMA_1 = {"schemaVersion": 1, "fsLayers": [{"blobSum": A}], "history": [{"v1Compatibility": "{}"}]}


def run_manifest(data: bytes) -> None:
    """A manifest that can't be carried is a Failure; what one names is found alike by the bundle and the clean-up."""
    for platforms in (None, ("linux/arm64",), ("linux/arm64/v8", "linux/amd64")):
        with promised(Failure):
            manifests.kind_of(data)
            parts = manifests.parts(data, platforms)
            manifests.left_out(data, platforms)
            with promised(contents.Unreadable):
                named = set(contents.references("sha256:x", data))
                assert {each.digest for each in parts} <= named, "the clean-up would remove a part of an image"
    with promised(Failure):
        manifests.needed(lambda _: data, A)
    with promised(contents.Unreadable):
        set(contents.references("sha256:x", data))


def run_challenge(data: bytes) -> None:
    """WWW-Authenticate, as the origin service and doctor read it; and where it sends one for a token."""
    text = data.decode("latin-1")
    base, _ = urls.parsed("https://registry.example")
    for each in authorization.challenges([text]):
        with promised(OriginFailure):
            server, target = authorization._token_request(each, "a/b", base)
            assert server.scheme == "https", "a login would go out in clear"
            assert target.isascii(), target
    from email.message import Message

    headers = Message()
    headers["WWW-Authenticate"] = text.replace("\r", " ").replace("\n", " ")
    doctor_login.challenges(Answer(401, "", headers, b"", Place("h", 1, "h", None)))


def run_token(data: bytes) -> None:
    """A token server's answer."""
    with promised(ValueError):
        said, seconds = authorization._token(data)
        assert said.startswith("Bearer ") and seconds > 0, seconds


def run_redirect(data: bytes) -> None:
    """Location: from https only to https, never with a login in it."""
    base, target = urls.parsed("https://registry.example/v2/a/blobs/x?y=1")
    with promised(ValueError):
        server, path = urls.redirected(base, target, data.decode("latin-1"))
        assert server.scheme == "https"
        assert path.startswith("/") and path.isascii() and " " not in path, path


def run_bucket(data: bytes) -> None:
    """A page of a bucket's listing."""
    store = bucket.Bucket(bucket.Place("http://s3.example", "r", "b"), bucket.Keys("a", "s"))
    pages = iter([data, b"<ListBucketResult/>"])
    object.__setattr__(store, "_ask", lambda *_: next(pages))
    with promised(OSError):
        contents.Contents.of(store.below("blobs"))
    bucket._code(data)


def run_reference(data: bytes) -> None:
    """What people type as an image: taken apart, and the same again from its parts."""
    text = data.decode(errors="replace")
    _, image = reference.look(text)
    if image is not None:
        _, again = reference.look(image.name)
        assert again == image, (again, image)


def run_selector(data: bytes) -> None:
    """A tag, a pattern or a range, and a tag that it may mean."""
    selector, _, tag = data.decode(errors="replace").partition("\n")
    with promised(ValueError):
        selectors.check(selector)
        assert not selectors.is_exact(selector) or selectors.matches(selector, selector)
        selectors.matches(selector, tag)


def run_basic(data: bytes) -> None:
    """A password file's words as HTTP has them."""
    (user,), rest = chosen(data, ("u", ""))
    assert base64.b64decode(doctor_login.basic((str(user), rest.decode(errors="replace")))[6:])


LISTING = """<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Contents>
<Key>docker%2Fregistry%2Fv2%2Fblobs%2Fsha256%2Faa%2Faaaa%2Fdata</Key><LastModified>2026-11-27T10:00:00.000Z</LastModified>
<Size>12</Size></Contents><NextContinuationToken>x</NextContinuationToken></ListBucketResult>"""
ERROR = "<Error><Code>NoSuchKey</Code></Error>"
BEARER = 'Bearer realm="https://auth.example/t?x=1",service="r.example",scope="repository:a/b:pull", Basic realm=x'
JSON = ("{", "}", "[", "]", '"', ":", ",", "null", "true", "-1", "1e999", A, "digest", "manifests", "layers", "config")
TARGETS = (
    Target(
        "manifest",
        run_manifest,
        tuple(json.dumps(each).encode() for each in (INDEX, MANIFEST, SCHEMA_1)),
        (*JSON, "Digest", "DIGEST", "blobSum", "platform", "annotations", "mediaType", "subject", manifests.INDEX),
    ),
    Target(
        "challenge",
        run_challenge,
        texts(BEARER, 'Basic realm="x\\"y"', "Negotiate"),
        ("Bearer ", "Basic ", 'realm="', ",", "http://["),
    ),
    Target(
        "token",
        run_token,
        texts('{"token": "a.b.c", "expires_in": 300}', '{"access_token": "x"}'),
        (*JSON, "token", "expires_in"),
    ),
    Target(
        "redirect",
        run_redirect,
        texts("https://cdn.example/a?X=%2F#f", "/v2/x", "//h:443/ä b"),
        ("https://", "//", "@", ":0", "[", "\\", "%"),
    ),
    Target(
        "bucket-listing",
        run_bucket,
        texts(LISTING, ERROR),
        ("<Contents>", "</Key>", "<Size>", "&amp;", "<!DOCTYPE", "encoding='utf-7'"),
    ),
    Target(
        "image-reference",
        run_reference,
        texts("docker.io/library/app:1@" + A, "localhost:5000/a/b", "APP", "https://x/y:1"),
        ("@sha256:", ":", "/", "localhost", "docker.io/", "__", "[::1]:5000/"),
    ),
    Target(
        "tag-selector",
        run_selector,
        texts(">=1.2 <2\n1.9.3", "v1.*\nv1.2", "^0.0.3\n0.0.3", "latest\nlatest"),
        (">=", "<=", "^", "~", "*", "[", "v", ".0"),
    ),
    Target("basic-auth", run_basic, texts("\0secret")),
)
