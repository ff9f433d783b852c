"""A certificate authority of a stack's own: what it signs, and when a certificate is made anew. Pure.

It may sign for the names that it was made for and for nothing else (name constraints, RFC 5280 4.2.1.10), so whoever
trusts it trusts it with this stack's servers only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey
AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=365)
RENEW = timedelta(days=30)
"""How long before its end a server's certificate is made anew; an authority is before it ends sooner than those."""
SKEW = timedelta(hours=1)
"""How late clients' clocks may be."""
NOBODY = (x509.DNSName("invalid"), x509.IPAddress(ip_network("255.255.255.255/32")))
"""Permitted beside the names: a kind of name that is not mentioned would be free. Nobody has these (RFC 2606)."""


@dataclass(frozen=True)
class Authority:
    """A certificate that signs, and its key."""

    certificate: x509.Certificate
    key: PrivateKey

    def lacks(self, names: Collection[str], now: datetime) -> str | None:
        """Why it can't sign for these names, or None."""
        if self.key.public_key() != self.certificate.public_key():
            return "its key is another one's"
        if self.certificate.not_valid_after_utc - now < SERVER_LIFE + RENEW:
            return f"it ends on {self.certificate.not_valid_after_utc:%Y-%m-%d}"
        try:
            constraints = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:
            return None
        strange = sorted(name for name in names if _subtree(name) not in (constraints.permitted_subtrees or ()))
        return f"it may not sign for {', '.join(strange)}" if strange else None

    def sign(self, public_key: CertificatePublicKeyTypes, names: Collection[str], now: datetime) -> x509.Certificate:
        """A server's certificate for these names and addresses."""
        # A name with a blank: OpenSSL would take another one for a DNS name, which an address is not allowed to be.
        subject = _name(f"http-registry {sorted(names)[0]}")
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            _builder(self.certificate.subject, subject, public_key, now, SERVER_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(usage, critical=False)
            .add_extension(x509.SubjectAlternativeName(list(map(_general, sorted(names)))), critical=False)
            .add_extension(identifier, critical=False)
        )
        return builder.sign(self.key, SHA256())


def make(stack: str, names: Iterable[str], now: datetime) -> Authority:
    """A new authority that may sign for these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    # With the day, since a client must not take a successor for it.
    name = _name(f"http-registry {stack} {now:%Y-%m-%d}")
    permitted = [*map(_subtree, sorted(names)), *NOBODY]
    builder = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Authority(builder.sign(key, SHA256()), key)


def new_key() -> PrivateKey:
    """A server's private key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_text(key: PrivateKey) -> str:
    """A private key as a secret holds it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_of(text: str | None) -> PrivateKey | None:
    """The private key in a secret; None where there is none of our kind."""
    try:
        key = load_pem_private_key((text or "").encode(), None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, PrivateKey) else None


def stale(
    certificate: x509.Certificate,
    public_key: CertificatePublicKeyTypes | None,
    names: Collection[str],
    authorities: Iterable[x509.Certificate],
    now: datetime,
) -> str | None:
    """Why a server's certificate has to be made anew, or None; `public_key` is that of the key that goes with it."""
    if certificate.public_key() != public_key:
        return "it was for another key"
    if certificate.not_valid_after_utc - now < RENEW:
        return f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}"
    has = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if set(has) != set(map(_general, names)):
        return "it was for other names"
    if not any(_has_signed(each, certificate) for each in authorities):
        return "another authority had signed it"
    return None


def _has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _subtree(name: str) -> x509.GeneralName:
    """A name as a constraint has it; a DNS name stands for those below it too."""
    try:
        return x509.IPAddress(ip_network(name))
    except ValueError:
        return x509.DNSName(name)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _builder(
    issuer: x509.Name, subject: x509.Name, public_key: CertificatePublicKeyTypes, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    number = x509.random_serial_number()
    return x509.CertificateBuilder(issuer, subject, public_key, number, now - SKEW, now + life)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip
