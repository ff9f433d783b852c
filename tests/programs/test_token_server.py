"""A real registry on loopback takes the tokens of the lab's token server, and lets nobody do what they don't say."""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lab import binaries
from lab.token_server import Config, TokenServer, User
from tests.free_port import free_port

SERVICE = "registry.test"
MANIFESTS = "manifests/none"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


def ask(
    port: int, path: str, authorization: str | None = None, method: str = "GET", body: bytes | None = None
) -> Answer:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request(method, path, body, {"Authorization": authorization} if authorization else {})
        got = client.getresponse()
        return Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
    finally:
        client.close()


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    folder = tmp_path_factory.mktemp("tokens")
    users = {
        "ann": User("ann's: password", {"ann/*": ["pull", "push"]}),
        "bob": User("bob's", {"bob/*": ["pull"]}),
    }
    public = {"library/*": ["pull"]}
    config = Config(
        "127.0.0.1", 0, "issuer.test", SERVICE, f"{folder}/key", f"{folder}/jwks.json", 300, public, users
    )  # fmt: skip
    with TokenServer(config) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def registry(tokens: TokenServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Its port."""
    folder, port = tmp_path_factory.mktemp("registry"), free_port()
    config = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder)}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "auth": {
            "token": {
                "realm": f"http://127.0.0.1:{tokens.server_port}/token",
                "service": SERVICE,
                "issuer": tokens.config.issuer,
                "jwks": tokens.config.jwks,
            }
        },
    }
    (folder / "config.yml").write_text(json.dumps(config))
    process = subprocess.Popen(
        [binaries.build(binaries.REGISTRY) / "registry", "serve", folder / "config.yml"],
        env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            try:
                ask(port, "/v2/")
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def token(tokens: TokenServer, *scopes: str, authorization: str | None = None) -> str:
    query = urlencode({"service": SERVICE, "scope": scopes}, doseq=True)
    answer = ask(tokens.server_port, f"/token?{query}", authorization)
    assert answer.status == 200, answer.body
    assert answer.document["token"] == answer.document["access_token"]
    return str(answer.document["token"])


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def claims(of: str) -> dict[str, Any]:
    return dict(json.loads(decoded(of.split(".")[1])))


ANN = basic("ann", "ann's: password")
BOB = basic("bob", "bob's")


def test_the_token_is_signed_by_the_key_of_the_key_set_and_says_who_what_where_and_how_long(
    tokens: TokenServer,
) -> None:
    made = token(tokens, "repository:ann/x:pull,push", "repository:bob/x:pull", authorization=ANN)
    signed, _, signature = made.rpartition(".")
    (key,) = json.loads(Path(tokens.config.jwks).read_text())["keys"]
    public = Ed25519PublicKey.from_public_bytes(decoded(key["x"]))
    public.verify(decoded(signature), signed.encode())
    with pytest.raises(InvalidSignature):
        public.verify(decoded(signature), signed.encode() + b"x")
    assert json.loads(decoded(signed.split(".")[0])) == {"typ": "JWT", "alg": "EdDSA", "kid": key["kid"]}
    said = claims(made)
    assert abs(said["iat"] - time.time()) < 10
    assert said["nbf"] == said["iat"]
    assert said["exp"] == said["iat"] + 300
    assert len(said["jti"]) == 32
    assert {name: said[name] for name in ("iss", "sub", "aud", "access")} == {
        "iss": "issuer.test",
        "sub": "ann",
        "aud": SERVICE,
        "access": [{"type": "repository", "name": "ann/x", "actions": ["pull", "push"]}],
    }


@pytest.mark.parametrize(
    ("authorization", "scope", "granted"),
    [
        (None, "repository:library/a/b:pull,push", ["library/a/b:pull"]),
        (None, "repository:ann/x:pull", []),
        (ANN, "repository:library/a:pull repository:ann/x:push,delete", ["library/a:pull", "ann/x:push"]),
        (BOB, "repository:bob/x:pull,push", ["bob/x:pull"]),
        (ANN, "registry:catalog:*", []),
        (ANN, "repository:host:5000/ann/x:pull", []),
        (ANN, "ann/x", []),
        (ANN, "", []),
    ],
)
def test_what_may_be_done_of_what_is_asked_for(
    tokens: TokenServer, authorization: str | None, scope: str, granted: list[str]
) -> None:
    access = claims(token(tokens, scope, authorization=authorization))["access"]
    assert [f"{each['name']}:{','.join(each['actions'])}" for each in access] == granted


@pytest.mark.parametrize(
    ("path", "authorization", "method", "status"),
    [
        (f"/token?service={SERVICE}", basic("ann", "wrong"), "GET", 401),
        (f"/token?service={SERVICE}", basic("nobody", ""), "GET", 401),
        (f"/token?service={SERVICE}", "Basic !", "GET", 401),
        (f"/token?service={SERVICE}", "Bearer abc", "GET", 401),
        ("/token?service=another", ANN, "GET", 400),
        ("/token", ANN, "GET", 400),
        (f"/?service={SERVICE}", ANN, "GET", 404),
        (f"/token?service={SERVICE}", ANN, "POST", 405),
    ],
)
def test_no_token(tokens: TokenServer, path: str, authorization: str, method: str, status: int) -> None:
    answer = ask(tokens.server_port, path, authorization, method)
    assert answer.status == status
    assert "token" not in answer.document
    assert answer.headers.get("www-authenticate") == (f'Basic realm="{SERVICE}"' if status == 401 else None)


def test_each_request_is_a_numbered_line_without_its_password(
    tokens: TokenServer, capfd: pytest.CaptureFixture[str]
) -> None:
    token(tokens, "repository:ann/x:pull", authorization=ANN)
    ask(tokens.server_port, f"/token?service={SERVICE}", basic("ann", "s3cret"))
    lines = capfd.readouterr().out
    first, second = map(json.loads, lines.splitlines())
    assert second["request"] == first["request"] + 1
    assert [first[name] for name in ("user", "scopes", "status")] == ["ann", ["repository:ann/x:pull"], 200]
    assert [second[name] for name in ("user", "status")] == ["", 401]
    assert "s3cret" not in lines
    assert "ann's" not in lines


def test_the_key_stays_and_only_its_owner_reads_it(tokens: TokenServer) -> None:
    key = Path(tokens.config.key)
    assert key.stat().st_mode & 0o777 == 0o600
    with TokenServer(tokens.config) as again:
        assert again.signer.name == tokens.signer.name


def test_the_registry_refuses_who_has_no_token_and_says_where_there_is_one(tokens: TokenServer, registry: int) -> None:
    answer = ask(registry, f"/v2/ann/x/{MANIFESTS}")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="http://127.0.0.1:{tokens.server_port}/token",service="{SERVICE}",scope="repository:ann/x:pull"'
    )


@pytest.mark.parametrize(
    ("authorization", "repository", "method", "path", "status"),
    [
        (None, "library/x", "GET", MANIFESTS, 404),
        (None, "library/x", "POST", "blobs/uploads/", 401),
        (None, "ann/x", "GET", MANIFESTS, 401),
        (ANN, "ann/x", "GET", MANIFESTS, 404),
        (ANN, "ann/x", "POST", "blobs/uploads/", 202),
        (ANN, "bob/x", "GET", MANIFESTS, 401),
        (BOB, "bob/x", "GET", MANIFESTS, 404),
        (BOB, "bob/x", "POST", "blobs/uploads/", 401),
        (BOB, "ann/x", "GET", MANIFESTS, 401),
    ],
)
def test_the_registry_lets_a_token_do_what_it_says(
    tokens: TokenServer, registry: int, authorization: str | None, repository: str, method: str, path: str, status: int
) -> None:
    """404: let through, and there is no such manifest."""
    made = token(tokens, f"repository:{repository}:pull,push", authorization=authorization)
    assert ask(registry, f"/v2/{repository}/{path}", f"Bearer {made}", method).status == status


def test_the_registry_takes_no_token_of_another_key(tokens: TokenServer, registry: int, tmp_path: Path) -> None:
    values = {**vars(tokens.config), "key": f"{tmp_path}/key", "jwks": f"{tmp_path}/jwks"}
    with TokenServer(Config(**values)) as other:
        made = other.answer("ann", ["repository:ann/x:pull"])["token"]
    assert ask(registry, f"/v2/ann/x/{MANIFESTS}", f"Bearer {made}").status == 401
