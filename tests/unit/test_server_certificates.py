"""Decides which certificates and keys an endpoint may have, and that a key is never shown. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from settings import SettingsError, Tier, parse
from settings.server_certificates import ServerCertificate, notices, server_certificates
from tests.certificates import DAY, NOW, Signed, authority, intermediate, server

CA = authority("Root")
MIDDLE = intermediate(CA, "Middle")
NAME, ADDRESS = "web.test", "10.0.0.1"
HERS = server(NAME, MIDDLE, ADDRESS)
HSM = {"module": "/usr/lib/softhsm/libsofthsm2.so", "token": "t", "object": "o"}


def tier(*endpoints: dict[str, Any]) -> Tier:
    names = [f"r{index}" for index, _ in enumerate(endpoints)]
    ours = [{"registry": name, "port": 443 + index, **endpoints[index]} for index, name in enumerate(names)]
    return parse(
        {
            "hosts": [{"name": "h", "address": "10.0.0.1"}],
            "image": {"reference": "registry:3.1.2"},
            "registries": [
                {"kind": "hosted", "name": name, "host": "h", "port": 5000 + index} for index, name in enumerate(names)
            ],
            "proxy": {
                "host": "h",
                "endpoints": ours,
                "users": [{"name": "ann", "role": "push"}],
            },
            "firewall": {"allow": ["10.0.0.0/8"]},
        }
    )


def endpoint(name: str = NAME, **tls: Any) -> dict[str, Any]:
    return {"server_name": name, "tls": {"certificate": "web.pem", **tls}}


def found(
    content: str | bytes, key: str | None = HERS.private, wanted: Tier | None = None
) -> dict[str, ServerCertificate]:
    def read(name: str) -> str:
        if name != "web.pem":
            raise FileNotFoundError(2, "No such file or directory")
        return content if isinstance(content, str) else content.decode()

    return server_certificates(wanted or tier(endpoint()), read, lambda _: key)


def errors_of(*arguments: Any) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        found(*arguments)
    return refused.value.errors


def test_the_chain_is_taken_in_order_and_nothing_besides() -> None:
    (one,) = found(f"Bag Attributes\n{HERS.pem}\n# the authority\n{MIDDLE.pem}{CA.pem}").values()
    assert one.pem == HERS.pem + MIDDLE.pem + CA.pem
    assert one.fingerprint == HERS.certificate.fingerprint(SHA256()).hex()
    assert one.ends == HERS.certificate.not_valid_after_utc
    assert one.staples is False


def test_status_is_stapled_where_the_responder_and_the_issuer_are_known() -> None:
    with_responder = server(NAME, MIDDLE, ocsp="http://ocsp.test")
    for text, staples in ((with_responder.pem + MIDDLE.pem, True), (with_responder.pem, False)):
        assert found(text, with_responder.private)["r0"].staples is staples


@pytest.mark.parametrize(
    ("asked", "has"),
    [("a.web.test", "*.web.test"), ("10.0.0.1", "10.0.0.1"), ("fd00::1", "fd00:0::1"), ("web.test", "WEB.test")],
)
def test_names_that_a_certificate_covers(asked: str, has: str) -> None:
    hers = server(has, CA)
    assert found(hers.pem, hers.private, tier(endpoint(asked)))


@pytest.mark.parametrize(
    ("asked", "has"),
    [("a.b.web.test", "*.web.test"), ("web.test", "*.web.test"), ("10.0.0.1", "10.0.0.2"), ("a.test", "b.test")],
)
def test_names_that_it_does_not(asked: str, has: str) -> None:
    hers = server(has, CA)
    (error,) = errors_of(hers.pem, hers.private, tier(endpoint(asked)))
    assert error == (
        f"proxy.endpoints.0.tls.certificate = 'web.pem': is for {has}, not for server_name {asked!r}; "
        "get one whose subjectAltName has it"
    )


LATE = server(NAME, MIDDLE, starts=NOW + DAY)
ENDED = server(NAME, MIDDLE, ends=NOW - DAY / 2)
CLIENT = server(NAME, MIDDLE, use=ExtendedKeyUsageOID.CLIENT_AUTH)


@pytest.mark.parametrize(
    ("content", "key", "rule"),
    [
        ("", HERS, "must hold certificates in PEM form, whole and undamaged; export it again"),
        (b"\xff", HERS, "must be PEM, not DER; convert it with"),
        (HERS.pem + HERS.private, HERS, "holds a private key, which no host needs to know"),
        (MIDDLE.pem + HERS.pem, HERS, "the certificate for web.test must stand first; move it there"),
        (HERS.pem + CA.pem, HERS, "CN=Root has not signed CN=web.test, which stands before it; put the"),
        (HERS.pem + CA.pem + MIDDLE.pem, HERS, "CN=Root has not signed CN=web.test"),
        (MIDDLE.pem, HERS, "is for no name (subjectAltName), not for server_name 'web.test'"),
        (LATE.pem, LATE, f"CN=web.test is not valid before {NOW + DAY:%Y-%m-%d}; add it on that day"),
        (ENDED.pem, ENDED, f"CN=web.test has ended on {NOW - DAY / 2:%Y-%m-%d}; put its successor there"),
        (CLIENT.pem, CLIENT, "CN=web.test is no server's (extendedKeyUsage lacks serverAuth); get one that is"),
    ],
)
def test_what_is_wrong_with_a_file(content: str | bytes, key: Signed, rule: str) -> None:
    (error,) = errors_of(content, key.private)
    assert error.startswith(f"proxy.endpoints.0.tls.certificate = 'web.pem': {rule}")


def test_a_missing_file_is_told_with_the_key_s_error_of_another_endpoint() -> None:
    wanted = tier(endpoint(), endpoint(certificate="none.pem"))
    assert errors_of(HERS.pem, CA.private, wanted) == [
        "tls-key-r0: is not the private key of the certificate in web.pem; set the one that it was made for",
        "proxy.endpoints.1.tls.certificate = 'none.pem': must be a file below the project folder "
        "(No such file or directory)",
    ]


@pytest.mark.parametrize(
    "key",
    [
        "geheim",
        HERS.pem,
        HERS.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode(),
        "-----BEGIN PRIVATE KEY-----\ngeheim\n-----END PRIVATE KEY-----\n",
    ],
    ids=["text", "certificate", "passphrase", "damaged"],
)
def test_what_is_no_private_key_is_told_and_not_shown(key: str) -> None:
    (error,) = errors_of(HERS.pem, key)
    assert error == (
        "tls-key-r0: must be a private key in PEM form without a passphrase; "
        "'openssl pkey -in FILE | pulumi config set --secret tls-key-r0'"
    )


def test_a_key_that_two_endpoints_share_is_told_of_once() -> None:
    wanted = tier(endpoint(key="web"), endpoint(ADDRESS, key="web"))
    assert list(found(HERS.pem, HERS.pkcs8, wanted)) == ["web"]
    assert len(errors_of(HERS.pem, CA.private, wanted)) == 1


def test_a_pin_is_not_taken_for_a_key_and_a_missing_secret_is_told_elsewhere() -> None:
    assert found(HERS.pem, "1234", tier(endpoint(hsm=HSM)))
    assert found(HERS.pem, None)


def test_no_tls_is_no_certificate() -> None:
    assert found("", None, tier({"server_name": NAME})) == {}


def test_an_end_in_sight_is_told_once_a_file() -> None:
    hers = server(NAME, CA, ends=NOW + 20 * DAY)
    both = found(hers.pem, hers.private, tier(endpoint(), endpoint()))
    assert notices(both.values(), NOW) == [
        f"proxy: web.pem ends on {NOW + 20 * DAY:%Y-%m-%d}, in 20 days; renew it (docs/tls.md)"
    ]
    assert notices(both.values(), NOW - timedelta(days=11)) == []
