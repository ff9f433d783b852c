"""A token server for tests: it signs tokens for the `token` auth of a distribution registry.

It needs Python 3.11, `cryptography` (Debian's python3-cryptography) and no file of this project, so that a test can
put it on a host. `python3 token_server.py CONFIG`, where CONFIG is a JSON file:

    {
      "address": "0.0.0.0", "port": 5002,
      "issuer": "lab",                  the registry's auth.token.issuer
      "service": "hub",                 the registry's auth.token.service
      "key": "/etc/lab/token.key",      the signing key; made when missing
      "jwks": "/etc/lab/jwks.json",     the registry's auth.token.jwks; written at each start, before the port opens
      "lifetime": 300,                  seconds that a token lives
      "anonymous": {"library/*": ["pull"]},
      "users": {"alice": {"password": "...", "access": {"private/*": ["pull", "push"]}}}
    }

`GET /token?service=S&scope=repository:NAME:ACTIONS` answers with a token for what may be done of what was asked for: by
everybody, and by the user of the Basic credentials, if there are some. A wrong password is a 401. The OAuth2 form, a
POST, is a 405, on which clients ask by GET. Each request is a line of JSON on stdout, numbered from 1.

The exchange and the token's claims: https://distribution.github.io/distribution/spec/auth/token/ and .../auth/jwt/.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import itertools
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

Access = Mapping[str, Iterable[str]]
"""Actions by glob of repository names; `*` matches slashes too."""


@dataclass(frozen=True)
class User:
    """Somebody with a password, and what he may do beyond what everybody may."""

    password: str = field(repr=False)
    access: Access


@dataclass(frozen=True)
class Config:
    """The JSON file; its keys are these names."""

    address: str
    port: int
    issuer: str
    service: str
    key: str
    jwks: str
    lifetime: int
    anonymous: Access
    users: Mapping[str, User]

    @classmethod
    def read(cls, path: Path) -> Config:
        """The configuration of a file. Raises TypeError for a key that is missing or unknown."""
        document = json.loads(path.read_text())
        return cls(**{**document, "users": {name: User(**user) for name, user in document["users"].items()}})


@dataclass(frozen=True)
class Signer:
    """An Ed25519 key, which distribution knows by its thumbprint (RFC 7638)."""

    key: Ed25519PrivateKey

    @classmethod
    def kept(cls, path: Path) -> Signer:
        """The key of a PEM file; a new one where there is no such file."""
        if not path.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(pem)
        key = load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{path} is not an Ed25519 key; remove it, and a new one is made")
        return cls(key)

    @cached_property
    def public(self) -> dict[str, str]:
        """The public key as a JWK, with the members of which the thumbprint is made, in its order."""
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"crv": "Ed25519", "kty": "OKP", "x": _base64(raw)}

    @cached_property
    def name(self) -> str:
        """The thumbprint, which tokens name the key by."""
        return _base64(hashlib.sha256(json.dumps(self.public, separators=(",", ":")).encode()).digest())

    def jwks(self) -> str:
        """The key set that a registry reads."""
        return json.dumps({"keys": [{**self.public, "kid": self.name, "alg": "EdDSA", "use": "sig"}]})

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A signed token with these claims."""
        header = {"typ": "JWT", "alg": "EdDSA", "kid": self.name}
        signed = ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
        return f"{signed}.{_base64(self.key.sign(signed.encode()))}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def granted(scopes: Iterable[str], accesses: Iterable[Access]) -> list[dict[str, Any]]:
    """The `access` claim: of each scope asked for, the actions that one of `accesses` allows.

    A scope is `repository:NAME:ACTION,ACTION`. Nothing of another type is granted.
    """
    rules = [(glob, set(actions)) for access in accesses for glob, actions in access.items()]
    claim = []
    for scope in scopes:
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        allowed = set().union(*(actions for glob, actions in rules if fnmatchcase(name, glob)))
        wanted = [action for action in actions.split(",") if action in allowed]
        if kind == "repository" and wanted:
            claim.append({"type": kind, "name": name, "actions": wanted})
    return claim


class Refused(Exception):
    """A request that gets no token."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def credentials(header: str) -> tuple[str, str]:
    """Name and password of an Authorization header. Raises Refused where it is not a Basic one."""
    kind, _, encoded = header.partition(" ")
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if kind.lower() != "basic" or not colon:
        raise Refused(401, "the Authorization header holds no Basic credentials")
    return name, password


class TokenServer(ThreadingHTTPServer):
    """Listens once it is made. `port` 0 takes a free one; `server_port` tells which."""

    daemon_threads = True

    def __init__(self, config: Config) -> None:
        self.config = config
        self.signer = Signer.kept(Path(config.key))
        Path(config.jwks).write_text(self.signer.jwks())
        self._numbers = itertools.count(1)
        self._writing = threading.Lock()
        super().__init__((config.address, config.port), Handler)

    def user(self, header: str | None) -> str:
        """The user of an Authorization header, "" for nobody. Raises Refused."""
        if header is None:
            return ""
        name, password = credentials(header)
        user = self.config.users.get(name)
        if not hmac.compare_digest(password.encode(), user.password.encode() if user else b"") or not user:
            raise Refused(401, "wrong name or password")
        return name

    def answer(self, user: str, scopes: Iterable[str]) -> dict[str, Any]:
        """The document with a token for `user`."""
        config, now = self.config, int(time.time())
        accesses = [config.anonymous, *([config.users[user].access] if user else [])]
        claims = {
            "iss": config.issuer, "sub": user, "aud": config.service, "jti": secrets.token_hex(16),
            "iat": now, "nbf": now, "exp": now + config.lifetime, "access": granted(scopes, accesses),
        }  # fmt: skip
        token = self.signer.sign(claims)
        issued = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        return {"token": token, "access_token": token, "expires_in": config.lifetime, "issued_at": issued}

    def log(self, entry: Mapping[str, Any]) -> None:
        """Write a numbered line."""
        with self._writing:
            print(json.dumps({"request": next(self._numbers), **entry}), flush=True)


class Handler(BaseHTTPRequestHandler):
    """One request for a token."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: TokenServer

    def do_GET(self) -> None:
        """Answer with a token."""
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        scopes = " ".join(query.get("scope", [])).split()
        user = ""
        try:
            if url.path != "/token":
                raise Refused(404, "tokens are at /token")
            if query.get("service") != [self.server.config.service]:
                raise Refused(400, f"the service is {self.server.config.service!r}")
            user = self.server.user(self.headers.get("Authorization"))
            status, document = 200, self.server.answer(user, scopes)
        except Refused as refused:
            status, document = refused.status, {"details": str(refused)}
        self.server.log({"client": self.client_address[0], "user": user, "scopes": scopes, "status": status})
        self._send(status, document)

    def do_POST(self) -> None:
        """Refuse the OAuth2 form."""
        self.server.log({"client": self.client_address[0], "user": "", "scopes": [], "status": 405})
        self.close_connection = True  # the form is not read
        self._send(405, {"details": "ask with GET"})

    def _send(self, status: int, document: Mapping[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", f'Basic realm="{self.server.config.service}"')
        if self.close_connection:
            self.send_header("Connection", "close")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: each request has its line already."""


if __name__ == "__main__":
    TokenServer(Config.read(Path(sys.argv[1]))).serve_forever()
