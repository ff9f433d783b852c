"""The files that registries name: what is taken from them, and what is refused before a host is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from settings import SettingsError, parse
from settings.registry_files import RegistryFiles, registry_files
from tests.certificates import DAY, NOW, authority, server

CA = authority()
SERVER = server("r.test", CA)
KEY = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "a"}
TLS = {"certificate": "server.pem", "authority": "ca.pem", "name": "r.test"}
TOKEN = {"realm": "https://t.example/token", "service": "s", "issuer": "i"}


def reader(**files: str) -> Callable[[str], str]:
    def read(name: str) -> str:
        try:
            return files[name.replace(".", "_")]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory") from None

    return read


def found(wanted: dict[str, Any], **files: str) -> RegistryFiles:
    tier: dict[str, Any] = {
        "hosts": [{"name": "h", "address": "10.0.0.1"}],
        "image": {"reference": "registry:3.1.2"},
        "registries": [{"kind": "hosted", "name": "r", "host": "h", **wanted}],
        "firewall": {"allow": ["10.0.0.0/8"]},
    }
    return registry_files(parse(tier), reader(**files))["r"]


def test_the_texts_without_anything_besides() -> None:
    chain = "# a comment\n" + SERVER.pem + CA.pem
    files = found({"tls": TLS}, server_pem=chain, ca_pem=CA.pem)
    assert files == RegistryFiles(tls_certificate=SERVER.pem + CA.pem, tls_authority=CA.pem)
    jwks = json.dumps({"keys": [KEY], "more": 1})
    files = found({"token": {**TOKEN, "certificate": "t.pem", "jwks": "t.json"}}, t_pem=SERVER.pem, t_json=jwks)
    assert files.token_certificate == SERVER.pem
    assert json.loads(files.token_jwks or "") == {"keys": [KEY]}
    assert found({}) == RegistryFiles()
    cache = {"kind": "cache", "serves": "docker.io", "upstream": "https://hub.example", "authority": "ca.pem"}
    assert found(cache, ca_pem=CA.pem) == RegistryFiles(authority=CA.pem)


OLD = authority("Old", ends=NOW - DAY)


@pytest.mark.parametrize(
    ("wanted", "files", "error"),
    [
        ({"tls": TLS}, {"ca_pem": CA.pem}, "tls.certificate = 'server.pem': must be a file below the project folder"),
        ({"tls": TLS}, {"server_pem": SERVER.pem, "ca_pem": OLD.pem}, "tls.authority = 'ca.pem': CN=Old has ended"),
        ({"tls": TLS}, {"server_pem": SERVER.private, "ca_pem": CA.pem}, "holds a private key"),
        ({"tls": {**TLS, "name": "r.example"}}, {"server_pem": SERVER.pem, "ca_pem": CA.pem}, "tls.name = 'r.example'"),
        ({"tls": TLS}, {"server_pem": SERVER.pem, "ca_pem": authority("Other").pem}, "tls.authority = 'ca.pem': none"),
    ],
)
def test_what_nginx_could_not_verify(wanted: dict[str, Any], files: dict[str, str], error: str) -> None:
    with pytest.raises(SettingsError, match=r"registries\.0\.") as refused:
        found(wanted, **files)
    assert error in str(refused.value)
    assert "BEGIN" not in str(refused.value)


@pytest.mark.parametrize(
    ("jwks", "error"),
    [
        ("[]", "must be a JSON Web Key Set"),
        ('{"keys": []}', "must hold a key"),
        ({"kty": "oct", "k": "geheim", "kid": "a"}, "a shared secret can't be used"),
        ({**KEY, "d": "geheim"}, "holds more than a public key (d)"),
        ({**KEY, "n": 5, "key_ops": ["verify", []]}, "whose key_ops, n is no text"),
        ("[" * 5000 + "]" * 5000, "must be a JSON Web Key Set"),
        ({key: value for key, value in KEY.items() if key != "kid"}, "without a kid"),
    ],
)
def test_keys_that_no_token_could_name_or_that_are_secret(jwks: Any, error: str) -> None:
    text = jwks if isinstance(jwks, str) else json.dumps({"keys": [jwks]})
    with pytest.raises(SettingsError) as refused:
        found({"token": {**TOKEN, "jwks": "t.json"}}, t_json=text)
    assert error in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_one_kid_names_one_key() -> None:
    with pytest.raises(SettingsError, match="two keys with one kid"):
        found({"token": {**TOKEN, "jwks": "t.json"}}, t_json=json.dumps({"keys": [KEY, KEY]}))
