"""Decides which files an authority may name, and that a private key in one is never shown."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from settings.certificates import Certificate, authorities, notices
from settings.errors import SettingsError
from settings.tier import Tier
from tests.certificates import DAY, NOW, Signed, authority, server

CA = authority()
OTHER = authority("Other")
NO_VERSION = CA.der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", 1)
"""A certificate has version 1 or 3, told as 0 or 2."""


def tier(*wanted: dict[str, Any]) -> Tier:
    data = {
        "hosts": [{"name": "hub", "address": "10.0.0.1"}],
        "image": {"reference": "registry:3.1.2"},
        "registries": [{"kind": "hosted", "name": "own", "host": "hub"}],
        "firewall": {"allow": ["10.0.0.0/8"]},
        "authorities": list(wanted),
    }
    return Tier.model_validate(_tuples(data))


def _tuples(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _tuples(each) for key, each in data.items()}
    return tuple(map(_tuples, data)) if isinstance(data, list) else data


def wanted(name: str = "lab", *registries: str) -> dict[str, Any]:
    return {"name": name, "certificate": f"ca/{name}.pem", "registries": list(registries or [f"{name}:5443"])}


def read(files: dict[str, str | bytes]) -> list[Certificate]:
    def text(name: str) -> str:
        if name not in files:
            raise FileNotFoundError(2, "No such file or directory")
        content = files[name]
        return content if isinstance(content, str) else content.decode()

    return authorities(tier(*(wanted(name) for name in ("lab", "other"))), text)


def error_of(content: str | bytes) -> str:
    """What is said of a file that holds this, beside another that is right."""
    with pytest.raises(SettingsError) as refused:
        read({"ca/lab.pem": content, "ca/other.pem": OTHER.pem})
    (error,) = refused.value.errors
    path, _, rule = error.partition(": ")
    assert path == "authorities.0.certificate = 'ca/lab.pem'"
    return rule


def test_a_file_is_taken_down_to_its_certificates_each_once() -> None:
    text = f"subject=CN = Lab\r\n{CA.pem}\n# again\n{CA.pem}Bag Attributes\n{OTHER.pem}"
    lab, other = read({"ca/lab.pem": text, "ca/other.pem": OTHER.pem})
    assert (lab.pem, other.pem) == (CA.pem + OTHER.pem, OTHER.pem)
    assert (lab.authority.name, lab.ends) == ("lab", CA.certificate.not_valid_after_utc)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("", "must hold certificates in PEM form"),
        (CA.pem.replace("MII", "MIJ"), "must hold certificates in PEM form, whole and undamaged"),
        (ssl.DER_cert_to_PEM_cert(NO_VERSION), "must hold certificates in PEM form, whole and undamaged"),
        (CA.pem[:-30], "must hold certificates in PEM form"),
        (CA.der, "must be PEM, not DER; convert it with 'openssl x509 -inform der -in ca/lab.pem"),
        (CA.pem.replace("CERTIFICATE", "CERTIFICATE REQUEST") + CA.pem, "holds a CERTIFICATE REQUEST too"),
        (server("10.0.0.1", CA).pem, r"CN=10.0.0.1 is no authority's (basicConstraints CA:TRUE"),
        (CA.pem + server("10.0.0.1", CA).pem, "CN=10.0.0.1 is no authority's"),
        (authority(ca=None).pem, "CN=Lab authority is no authority's"),
        (authority(signs=False).pem, "and keyCertSign where there is a keyUsage"),
        (authority(starts=NOW - 9 * DAY, ends=NOW - DAY).pem, f"has ended on {NOW - DAY:%Y-%m-%d}; put its successor"),
        (authority(starts=NOW + DAY).pem, f"is not valid before {NOW + DAY:%Y-%m-%d}"),
    ],
)
def test_what_no_host_could_use_is_refused(content: str | bytes, rule: str) -> None:
    assert rule in error_of(content)


def test_a_private_key_is_refused_and_not_shown() -> None:
    error = error_of(CA.pem + CA.private)
    assert error.startswith("holds a private key, which no host needs to know; take it out")
    assert not any(line in error for line in CA.private.splitlines() if line)


def test_every_error_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        authorities(tier(wanted("lab", "a", "b"), wanted("other", "b", "b")), lambda _: "")
    assert [each.partition(":")[0] for each in refused.value.errors] == [
        "authorities.1.registries = 'b'",
        "authorities.0.certificate = 'ca/lab.pem'",
        "authorities.1.certificate = 'ca/other.pem'",
    ]
    with pytest.raises(SettingsError, match=r"must be a file below the project folder \(No such file or directory\)"):
        read({})


@pytest.mark.parametrize(("days", "told"), [(29, True), (31, False)])
def test_an_end_that_is_near_is_told(days: int, told: bool) -> None:
    soon: Signed = authority(ends=NOW + days * DAY)
    found = notices(read({"ca/lab.pem": CA.pem + soon.pem, "ca/other.pem": OTHER.pem}), NOW)
    line = f"authority lab: ca/lab.pem ends on {NOW + days * DAY:%Y-%m-%d}, in {days} days; put its successor's"
    assert [each.startswith(line) for each in found] == [True] * told
