"""Certificates made on the fly: authorities, what they sign, and what is wrong with either."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

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

    @property
    def pkcs8(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


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


def intermediate(by: Signed, name: str = "Intermediate") -> Signed:
    """An authority that another one has signed."""
    return _signed(name, by, NOW - DAY, NOW + 365 * DAY, [_usage(True), x509.BasicConstraints(True, None)])


def server(
    name: str,
    by: Signed,
    *more: str,
    starts: datetime = NOW - DAY,
    ends: datetime = NOW + 365 * DAY,
    ocsp: str = "",
    use: x509.ObjectIdentifier | None = None,
) -> Signed:
    """The certificate of a server with these names and addresses. `ocsp`: its responder. `use`: extendedKeyUsage."""
    extensions: list[x509.ExtensionType] = [x509.BasicConstraints(False, None)]
    extensions.append(x509.SubjectAlternativeName(list(map(_general, (name, *more)))))
    if ocsp:
        responder = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp))
        extensions.append(x509.AuthorityInformationAccess([responder]))
    if use:
        extensions.append(x509.ExtendedKeyUsage([use]))
    return _signed(name, by, starts, ends, extensions)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


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
        builder = builder.add_extension(each, critical=isinstance(each, x509.BasicConstraints | x509.KeyUsage))
    return Signed(builder.sign(by.key if by else key, SHA256()), key)
