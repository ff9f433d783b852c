"""The real registry with each rendered configuration: it starts, and answers as it should."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from garbage_collection.bucket import Bucket, Keys, Place
from garbage_collection.collection import Rules, collect
from garbage_collection.contents import Contents, Link, Memory, blob_path, find_dead
from settings.registry_files import RegistryFiles
from tests.certificates import Signed, authority, server
from tests.programs.object_store import ACCESS, BUCKET, REGION, SECRET, object_store
from tests.programs.registry_process import serving
from tests.registry_client import Client, digest, image
from tests.unit.test_registry_documents import registry


def authority_with(zeros: bool) -> Signed:
    """An authority whose key has a coordinate that begins with a zero byte, which one of 128 has, or none."""
    while True:
        made = authority()
        numbers = made.key.public_key().public_numbers()
        if (min(numbers.x, numbers.y) < 1 << 248) == zeros:
            return made


CA = authority_with(zeros=False)
ODD = authority_with(zeros=True)
SERVER = server("r.test", CA, "127.0.0.1")
TOKEN = {"realm": "https://tokens.example/token", "service": "hub", "issuer": "lab"}


def test_filesystem(tmp_path: Path) -> None:
    with serving(tmp_path, registry(kind="hosted")) as client:
        assert client.push("a/x", "v", b"config", b"layer") == client.pull("a/x", "v")
    assert (tmp_path / "data/docker/registry/v2/blobs").is_dir()


def test_https(tmp_path: Path) -> None:
    wanted = registry(kind="hosted", tls={"certificate": "r.pem", "authority": "ca.pem", "name": "r.test"})
    files = RegistryFiles(tls_certificate=SERVER.pem, tls_authority=CA.pem)
    with serving(tmp_path, wanted, files, {"backend-tls-key-r": SERVER.private}) as client:
        assert client.url.startswith("https:")
        assert client.push("a/x", "v", b"config", b"layer") == client.pull("a/x", "v")


def encoded(content: bytes | dict[str, Any]) -> str:
    raw = json.dumps(content, separators=(",", ":"), sort_keys=True).encode() if isinstance(content, dict) else content
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def public(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    """A P-256 key as a JWK (RFC 7518, 6.2)."""
    numbers = key.public_key().public_numbers()
    return {"crv": "P-256", "kty": "EC", "x": encoded(numbers.x.to_bytes(32)), "y": encoded(numbers.y.to_bytes(32))}


def thumbprint(jwk: dict[str, Any]) -> str:
    """RFC 7638."""
    return encoded(hashlib.sha256(json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()).digest())


def token(by: Signed, header: dict[str, Any], **claims: Any) -> str:
    """A token that may do everything in a/x."""
    access = [{"type": "repository", "name": "a/x", "actions": ["pull", "push"]}]
    body = {"iss": "lab", "aud": "hub", "exp": int(time.time()) + 300, "nbf": 0, "access": access, **claims}
    signed = f"{encoded({'alg': 'ES256', **header})}.{encoded(body)}"
    r, s = decode_dss_signature(by.key.sign(signed.encode(), ec.ECDSA(SHA256())))
    return f"{signed}.{encoded(r.to_bytes(32) + s.to_bytes(32))}"


class Tokens:
    """A registry with token auth and what it answers to tokens."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def status(self, bearer: str, repository: str = "a/x") -> int:
        return self.client.ask("GET", f"/v2/{repository}/tags/list", Authorization=f"Bearer {bearer}").status


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tokens]:
    wanted = registry(kind="hosted", token={**TOKEN, "certificate": "t.pem", "jwks": "t.json"})
    jwks = json.dumps({"keys": [{**public(SERVER.key), "kid": "our key"}]})
    files = RegistryFiles(token_certificate=CA.pem + ODD.pem, token_jwks=jwks)
    with serving(tmp_path_factory.mktemp("token"), wanted, files) as client:
        bearer = token(CA, {"kid": thumbprint(public(CA.key))})
        pusher = Client(client.url, {"Authorization": f"Bearer {bearer}"})
        pusher.push("a/x", "v", b"config", b"layer")
        assert pusher.pull("a/x", "v")
        yield Tokens(client)


def test_without_a_token_clients_are_sent_to_the_realm(tokens: Tokens) -> None:
    answer = tokens.client.ask("GET", "/v2/")
    assert (answer.status, answer.headers["www-authenticate"]) == (
        401,
        'Bearer realm="https://tokens.example/token",service="hub"',
    )


def test_a_token_names_a_known_key(tokens: Tokens) -> None:
    chain = [base64.b64encode(SERVER.der).decode()]
    assert tokens.status(token(CA, {"kid": thumbprint(public(CA.key))})) == 200
    assert tokens.status(token(SERVER, {"kid": "our key"})) == 200
    assert tokens.status(token(SERVER, {"x5c": chain})) == 200
    assert tokens.status(token(CA, {"kid": "another"})) == 401
    assert tokens.status(token(CA, {"kid": "our key"})) == 401
    assert tokens.status(token(CA, {})) == 401


def test_a_key_with_zeros_in_front_is_known_by_what_is_no_thumbprint(tokens: Tokens) -> None:
    jwk = public(ODD.key)
    numbers = ODD.key.public_key().public_numbers()
    short = {**jwk, **{each: encoded(getattr(numbers, each).to_bytes(32).lstrip(b"\0")) for each in ("x", "y")}}
    assert tokens.status(token(ODD, {"kid": thumbprint(jwk)})) == 401
    assert tokens.status(token(ODD, {"kid": thumbprint(short)})) == 200
    assert tokens.status(token(ODD, {"x5c": [base64.b64encode(ODD.der).decode()]})) == 200


def test_a_token_for_somebody_or_something_else_does_not_count(tokens: Tokens) -> None:
    header = {"kid": "our key"}
    assert tokens.status(token(SERVER, header, aud="other")) == 401
    assert tokens.status(token(SERVER, header, iss="other")) == 401
    assert tokens.status(token(SERVER, header, exp=int(time.time()) - 120)) == 401
    assert tokens.status(token(SERVER, header), "b/y") == 401


def s3(endpoint: str, **more: Any) -> dict[str, Any]:
    place = {"endpoint": endpoint, "region": REGION, "bucket": BUCKET, "prefix": "in/here", **more}
    return {"kind": "hosted", "storage": {"s3": place}}


S3_SECRETS = {"s3-access-key-r": ACCESS, "s3-secret-key-r": SECRET}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with object_store(tmp_path_factory.mktemp("store")) as url:
        yield url


def test_s3_with_two_replicas(tmp_path: Path, bucket: str) -> None:
    wanted = registry(**s3(bucket), replica_ports=[5010])
    secrets = {**S3_SECRETS, "http-secret-r": "shared"}
    with serving(tmp_path, wanted, secrets=secrets) as one, serving(tmp_path, wanted, secrets=secrets) as two:
        place = one.begin("a/x").replace(one.url, two.url)
        place = two.send(place, b"layer").replace(two.url, one.url)
        one.finish(place, b"layer")
        two.upload("a/x", b"config")
        manifest = image(b"config", [b"layer"])
        assert one.put("a/x", "v", manifest).status == 201
        assert two.pull("a/x", "v") == manifest
        redirected = Client(two.url)
        location = redirected.ask("HEAD", f"/v2/a/x/blobs/{digest(b'layer')}")
        assert location.status == 200
    assert not (tmp_path / "data").exists()


def test_the_store_s_own_authority(tmp_path: Path) -> None:
    with object_store(tmp_path / "store", SERVER) as url:
        wanted = registry(**s3(url, authority="ca.pem"))
        with serving(tmp_path, wanted, RegistryFiles(authority=CA.pem), S3_SECRETS) as client:
            client.upload("a/x", b"layer")
        store = Bucket(Place(url, REGION, BUCKET, "in/here", ca=CA.pem), Keys(ACCESS, SECRET))
        assert any(each.path.startswith("blobs/") for each in store.listing())
        stranger = Bucket(Place(url, REGION, BUCKET, "in/here"), Keys(ACCESS, SECRET))
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            list(stranger.listing())


def test_a_second_look_reads_what_was_moved_since_the_first(tmp_path: Path, bucket: str) -> None:
    store, memory = Bucket(Place(bucket, REGION, BUCKET, "in/here"), Keys(ACCESS, SECRET)), Memory()
    asked: list[str] = []

    def read(path: str) -> bytes:
        asked.append(path)
        return store.read(path)

    def look() -> set[Link]:
        asked.clear()
        return find_dead(Contents.of(store.listing()), read, True, time.time() + 3600, memory).used

    with serving(tmp_path, registry(**s3(bucket)), secrets=S3_SECRETS) as client:
        client.push("m/x", "still", b"config 1", b"layer 1")
        first = client.push("m/x", "moved", b"config 2", b"layer 2")
        assert ("m/x", digest(first)) in look()
        assert ("m/x", digest(first)) in look()
        assert asked == []
        second = client.push("m/x", "moved", b"config 3", b"layer 3")
        used = look()
        assert asked == ["repositories/m/x/_manifests/tags/moved/current/link", blob_path(digest(second))]
        assert ("m/x", digest(second)) in used
        assert ("m/x", digest(first)) not in used


def test_garbage_collection_in_a_bucket(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Bucket(Place(bucket, REGION, BUCKET, "in/here"), Keys(ACCESS, SECRET))
    store.settle = 0.05
    said: list[str] = []
    with serving(tmp_path, registry(**s3(bucket)), secrets=S3_SECRETS) as client:
        gone = client.push("g/x", "old", b"config 1", b"shared", b"own")
        client.push("g/x", "kept", b"config 2", b"shared")
        client.ask("DELETE", f"/v2/g/x/manifests/{digest(gone)}")
        half = client.send(client.begin("g/x"), b"first half, ")
        collect(store, Rules(False, 3600), tmp_path, said.append)
        assert said == ["nothing to remove"]
        old = {each.path for each in store.listing()}
        client.upload("g/x", b"of a push that is under way")
        listing = store.listing
        monkeypatch.setattr(
            store,
            "listing",
            lambda: (each._replace(changed=each.changed - 7200 * (each.path in old)) for each in listing()),
        )
        collect(store, Rules(True, 3600), tmp_path, said.append)
        assert "other links and" in said[-1]
        assert (client.blob("g/x", b"own"), client.blob("g/x", b"shared")) == (404, 200)
        assert client.blob("g/x", b"of a push that is under way") == 200
        assert client.pull("g/x", "kept")
        client.finish(client.send(half, b"second half"), b"first half, second half")
        assert client.blob("g/x", b"first half, second half") == 200
        link = next(each.path for each in store.listing() if each.path.startswith("repositories/g/x/_layers"))
        store.write(link, store.read(link))
        with pytest.raises(FileNotFoundError):
            store.read("blobs/none")
    wrong = Bucket(Place(bucket, REGION, BUCKET), Keys(ACCESS, "wrong"))
    with pytest.raises(OSError, match="SignatureDoesNotMatch"):
        list(wrong.listing())


def test_a_cache_trusts_its_upstream_s_own_authority(tmp_path: Path) -> None:
    upstream = registry(kind="hosted", tls={"certificate": "r.pem", "authority": "ca.pem", "name": "r.test"})
    files = RegistryFiles(tls_certificate=SERVER.pem, tls_authority=CA.pem)
    (tmp_path / "hub").mkdir()
    with serving(tmp_path / "hub", upstream, files, {"backend-tls-key-r": SERVER.private}) as hub:
        manifest = hub.push("library/x", "1", b"config", b"layer")
        for name, authorities, pulled in (("cache", CA.pem, manifest), ("stranger", None, None)):
            (tmp_path / name).mkdir()
            wanted = registry(
                kind="cache", serves="docker.io", upstream=hub.url, **({"authority": "ca.pem"} if authorities else {})
            )
            if pulled is None:
                with pytest.raises(AssertionError, match="certificate signed by unknown authority"):
                    serving(tmp_path / name, wanted).__enter__()
                continue
            with serving(tmp_path / name, wanted, RegistryFiles(authority=authorities)) as cache:
                assert cache.pull("library/x", "1") == pulled
