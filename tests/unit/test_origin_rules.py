"""Decides what the origin service makes of challenges, of redirects and of its configuration. No I/O.

What it does with them is decided in tests/programs/test_origin.py.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from origin import authorization, config
from origin.authorization import challenges
from origin.urls import Server, parsed, redirected
from tests.certificates import authority

HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull"'
BASE = Server("https", "registry-1.docker.io", 443)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (
            [HUB],
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:library/alpine:pull",
                    },
                )
            ],
        ),
        (['Basic realm="a, b=\\"c\\""'], [("basic", {"realm": 'a, b="c"'})]),
        (
            ['BEARER Realm = "r" , scope="a,b", Basic realm=plain'],
            [("bearer", {"realm": "r", "scope": "a,b"}), ("basic", {"realm": "plain"})],
        ),
        (['Basic realm="x"', 'Bearer realm="y"'], [("basic", {"realm": "x"}), ("bearer", {"realm": "y"})]),
        (["Basic"], [("basic", {})]),
        (["Negotiate abc=="], [("negotiate", {})]),
        (["", '="x"', "\x00"], []),
        (['Bearer realm="unfinished'], [("bearer", {})]),
    ],
)
def test_challenges_are_read(headers: list[str], found: list[tuple[str, dict[str, str]]]) -> None:
    assert [(each.scheme, dict(each.parameters)) for each in challenges(headers)] == found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"token": "a.b-c"}, ("Bearer a.b-c", 60.0)),
        ({"access_token": "x", "expires_in": 300}, ("Bearer x", 300.0)),
        ({"token": "x", "expires_in": -1}, ("Bearer x", 60.0)),
        ({"token": "x", "expires_in": "9"}, ("Bearer x", 60.0)),
    ],
)
def test_a_token_s_answer_is_read(answer: dict[str, Any], found: tuple[str, float]) -> None:
    assert authorization._token(json.dumps(answer).encode()) == found


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"token": ""}', b'{"token": "a\\r\\nX: y"}', b'{"token": 1}'])
def test_what_is_no_token_is_refused(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        authorization._token(answer)


@pytest.mark.parametrize(
    ("location", "server", "target"),
    [
        ("https://cdn.example/b?sig=a%2Fb&x=y", "https://cdn.example", "/b?sig=a%2Fb&x=y"),
        ("https://[2001:db8::1]:8443/b", "https://[2001:db8::1]:8443", "/b"),
        ("//other.example/b#part", "https://other.example", "/b"),
        ("/moved", "https://registry-1.docker.io", "/moved"),
        ("next?a b=ü", "https://registry-1.docker.io", "/v2/next?a%20b=%C3%BC"),
        ("?again", "https://registry-1.docker.io", "/v2/here?again"),
        ("https://registry-1.docker.io:443", "https://registry-1.docker.io", "/"),
    ],
)
def test_redirects_are_followed(location: str, server: str, target: str) -> None:
    goal, path = redirected(BASE, "/v2/here", location)
    assert (str(goal), path) == (server, target)


@pytest.mark.parametrize(
    "location",
    [
        "http://cdn.example/b",
        "https://me:s3cr3t@cdn.example/",
        "ftp://x/",
        "file:///etc/passwd",
        "https://x:0/",
        "https://x:70000/",
        "https://[::1/",
        "unix:/run/docker.sock",
    ],
)
def test_other_redirects_are_not(location: str) -> None:
    with pytest.raises(ValueError, match=r".*") as refusal:
        redirected(BASE, "/v2/here", location)
    assert "s3cr3t" not in str(refusal.value)


def test_a_registry_without_tls_may_send_to_any_store() -> None:
    assert redirected(Server("http", "127.0.0.1", 5000), "/", "http://127.0.0.1:7070/b")[0].port == 7070


def test_a_registry_with_tls_may_send_to_the_store_that_is_known_to_have_none() -> None:
    store = Server("http", "127.0.0.1", 7070)
    assert redirected(BASE, "/", "http://127.0.0.1:7070/b", store)[0] == store
    with pytest.raises(ValueError, match="https to http"):
        redirected(BASE, "/", "http://127.0.0.1:7071/b", store)


def test_the_same_server_is_one() -> None:
    assert parsed("https://Registry-1.docker.io/")[0] == BASE


def read(**registry: Any) -> config.Registry:
    return config.read(json.dumps({"registries": {"hub": registry}})).registries["hub"]


def test_a_configuration_is_read() -> None:
    found = read(bases=["https://a.example", "http://127.0.0.1:5000/"], user="me", password="s3cr3t")
    assert [str(each) for each in found.bases] == ["https://a.example", "http://127.0.0.1:5000"]
    assert "s3cr3t" not in repr(found)
    assert read(bases=["https://a"], ca=authority().pem).ca
    assert str(read(bases=["https://a"], in_clear="http://b:7070").in_clear) == "http://b:7070"


@pytest.mark.parametrize(
    ("registry", "said"),
    [
        ({}, "registries.hub.bases: must be a list of URLs"),
        ({"bases": ["https://x"], "in_clear": "b:7070"}, "registries.hub.in_clear: must be http://"),
        ({"bases": []}, "registries.hub.bases: must be a list of URLs"),
        ({"bases": ["ftp://x"]}, "registries.hub.bases[0]: must be http:// or https://"),
        ({"bases": ["https://a", "https://me:s3cr3t@x"]}, "registries.hub.bases[1]: must be http:// or https://"),
        ({"bases": ["https://x/path"]}, "registries.hub.bases[0]"),
        ({"bases": [7]}, "registries.hub.bases[0]"),
        ({"bases": ["https://x"], "user": "a"}, "registries.hub.user: must be a name without a colon, together"),
        ({"bases": ["https://x"], "password": "s3cr3t"}, "registries.hub.user"),
        ({"bases": ["https://x"], "user": "a:b", "password": "s3cr3t"}, "registries.hub.user"),
        ({"bases": ["https://x"], "password": 7}, "registries.hub.password: must be a text"),
        ({"bases": ["https://x"], "name": "y"}, "registries.hub.name: there is no such key"),
        ({"bases": ["https://x"], "passwrd": "s3cr3t"}, "registries.hub.passwrd: there is no such key"),
        ({"bases": ["https://x"], "forward_authorization": 1}, "registries.hub.forward_authorization: must be true or"),
        (
            {"bases": ["https://x"], "forward_authorization": True, "user": "a", "password": "s3cr3t"},
            "registries.hub.user: must be left out",
        ),
        ({"bases": ["https://x"], "verify_elsewhere": False}, "registries.hub.verify_elsewhere: must be true where"),
        ({"bases": ["https://x"], "ca": "s3cr3t"}, "registries.hub.ca: must be certificates in PEM form"),
    ],
)
def test_a_configuration_that_can_not_be_is_refused_without_its_secrets(registry: dict[str, Any], said: str) -> None:
    with pytest.raises(config.ConfigError) as refusal:
        read(**registry)
    assert str(refusal.value).startswith(said)
    assert "s3cr3t" not in str(refusal.value)


@pytest.mark.parametrize("text", ['{"registries": s3cr3t}', "[]", "{}", '{"registries": {"../x": {}}}'])
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(config.ConfigError) as refusal:
        config.read(text)
    assert "s3cr3t" not in str(refusal.value)
