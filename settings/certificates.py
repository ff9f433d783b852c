"""The certificates that a tier's authorities name: read and checked before any host is touched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from settings.errors import SettingsError
from settings.runtimes import Authority
from settings.tier import Tier

LABEL = re.compile(r"-----BEGIN ([^-\n]+)-----")
DAMAGED = (ValueError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
"""What cryptography raises for a text that is no whole certificate, or no request for one."""
NOTICE = timedelta(days=30)
"""How long before its end a certificate is told of."""


@dataclass(frozen=True)
class Certificate:
    """An authority with what its file holds. `pem`: its certificates and nothing besides, each once."""

    authority: Authority
    pem: str
    ends: datetime
    """When the first of them does."""


def authorities(tier: Tier, read: Callable[[str], str], now: datetime | None = None) -> list[Certificate]:
    """The tier's authorities with their certificates.

    `read` gives the text of a file below the project folder, or raises OSError or UnicodeDecodeError.

    Raises SettingsError with every error found: a file that can't be read, one that holds a private key or anything
    else than certificates, a certificate that is no authority's or not valid `now`, a registry with two authorities.
    """
    now = now or datetime.now(UTC)
    found, errors = [], list(_twice(tier.authorities))
    for index, each in enumerate(tier.authorities):
        try:
            found.append(_certificate(each, text_of(read, each.certificate), now))
        except ValueError as wrong:
            errors.append(f"authorities.{index}.certificate = {each.certificate!r}: {wrong}")
    if errors:
        raise SettingsError(errors)
    return found


def notices(certificates: Iterable[Certificate], now: datetime | None = None) -> list[str]:
    """A line for each authority that ends within `NOTICE`."""
    now = now or datetime.now(UTC)
    return [
        f"authority {each.authority.name}: {each.authority.certificate} ends on {each.ends:%Y-%m-%d}, in "
        f"{(each.ends - now).days} days; put its successor's certificate into that file too, before it takes over"
        for each in certificates
        if each.ends - now < NOTICE
    ]


def _twice(wanted: Iterable[Authority]) -> Iterator[str]:
    """A hosts.toml names one file for a server."""
    first: dict[str, int] = {}
    for index, each in enumerate(wanted):
        for registry in dict.fromkeys(each.registries):
            if registry in first:
                yield (
                    f"authorities.{index}.registries = {registry!r}: authorities.{first[registry]} is for it too; make "
                    "one entry of both, with both certificates in one file"
                )
            first.setdefault(registry, index)


def text_of(read: Callable[[str], str], name: str) -> str:
    """The text of a PEM file. Raises ValueError with rule and remedy where it can't be read."""
    try:
        return read(name)
    except OSError as missing:
        raise ValueError(f"must be a file below the project folder ({missing.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError(
            f"must be PEM, not DER; convert it with 'openssl x509 -inform der -in {name} -out {name}.pem'"
        ) from None


def certificates(text: str) -> list[x509.Certificate]:
    """The certificates of a PEM file that holds nothing else, each once. Raises ValueError with rule and remedy; the
    text is never shown."""
    for label in LABEL.findall(text):
        if "PRIVATE KEY" in label:
            raise ValueError("holds a private key, which no host needs to know; take it out and keep it elsewhere")
        if label != "CERTIFICATE":
            raise ValueError(f"holds a {label} too; leave nothing but certificates in it")
    try:
        found = list(dict.fromkeys(x509.load_pem_x509_certificates(text.encode())))
        for each in found:
            _ = each.extensions
    except DAMAGED:
        raise ValueError("must hold certificates in PEM form, whole and undamaged; export it again") from None
    return found


def refuse_out_of_time(certificate: x509.Certificate, now: datetime) -> None:
    """Raise ValueError where it is not valid `now`."""
    if certificate.not_valid_after_utc < now:
        raise ValueError(
            f"{shown(certificate)} has ended on {certificate.not_valid_after_utc:%Y-%m-%d}; put its successor there"
        )
    if certificate.not_valid_before_utc > now:
        raise ValueError(
            f"{shown(certificate)} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}; add it on that day"
        )


def shown(certificate: x509.Certificate) -> str:
    """Its name in an error."""
    return certificate.subject.rfc4514_string() or "the certificate without a name"


def pem(chain: Iterable[x509.Certificate]) -> str:
    """A file with these certificates and nothing besides."""
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in chain)


def _certificate(authority: Authority, text: str, now: datetime) -> Certificate:
    """The checked certificates of an authority's file. Raises ValueError with rule and remedy."""
    found = certificates(text)
    for each in found:
        if not _signs(each):
            raise ValueError(
                f"{shown(each)} is no authority's (basicConstraints CA:TRUE, and keyCertSign where there is a "
                "keyUsage); take the certificate of who has signed it"
            )
        refuse_out_of_time(each, now)
    return Certificate(authority, pem(found), min(each.not_valid_after_utc for each in found))


def _signs(certificate: x509.Certificate) -> bool:
    """Whether it is an authority's, as Go and OpenSSL see it."""
    extensions = {each.oid: each.value for each in certificate.extensions}
    basic, usage = (extensions.get(each.oid) for each in (x509.BasicConstraints, x509.KeyUsage))
    may_sign = not isinstance(usage, x509.KeyUsage) or usage.key_cert_sign
    return isinstance(basic, x509.BasicConstraints) and basic.ca and may_sign
