"""Certificates made on the fly: authorities, what they sign, and what is wrong with either."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Signed:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def private(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def authority(
    name: str = "Lab authority",
    *,
    starts: datetime = NOW - DAY,
    ends: datetime = NOW + 365 * DAY,
    ca: bool | None = True,
    signs: bool = True,
) -> Signed:
    """One that has signed itself; `ca`: its basicConstraints, None for none at all."""
    extensions: list[x509.ExtensionType] = [_usage(signs)]
    if ca is not None:
        extensions.append(x509.BasicConstraints(ca, None))
    return _signed(name, None, starts, ends, extensions)


def server(address: str, by: Signed) -> Signed:
    """The certificate of a server at an IP address."""
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
    return _signed(address, by, NOW - DAY, NOW + 365 * DAY, [x509.BasicConstraints(False, None), names])


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _signed(
    name: str, by: Signed | None, starts: datetime, ends: datetime, extensions: list[x509.ExtensionType]
) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(
        by.certificate.subject if by else subject, subject, key.public_key(), x509.random_serial_number(), starts, ends
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=not isinstance(each, x509.SubjectAlternativeName))
    return Signed(builder.sign(by.key if by else key, SHA256()), key)
