"""The certificates of the proxy's endpoints and whether their keys fit: checked before any host is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import pairwise
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from settings.certificates import NOTICE, certificates, pem, refuse_out_of_time, shown, text_of
from settings.errors import SettingsError
from settings.proxy import Endpoint
from settings.tier import Tier

Kind = TypeVar("Kind", bound=x509.ExtensionType)


@dataclass(frozen=True)
class ServerCertificate:
    """What an endpoint's file holds. `pem`: the chain and nothing besides. `ends`: when the first of it does.
    `staples`: whether there is what OCSP stapling needs. `fingerprint`: SHA-256 of what clients are shown, in hex.
    """

    file: str
    pem: str
    ends: datetime
    staples: bool
    fingerprint: str


def server_certificates(
    tier: Tier, read: Callable[[str], str], secret: Callable[[str], str | None], now: datetime | None = None
) -> dict[str, ServerCertificate]:
    """The certificates by the name of their key.

    `read` gives the text of a file below the project folder, or raises OSError or UnicodeDecodeError. `secret` gives a
    secret's value, None where it isn't set; it is compared and forgotten.

    Raises SettingsError with every error found: a file that can't be read or holds anything else than certificates, a
    certificate that is not its endpoint's, not a server's or not valid `now`, a chain out of order, another key.
    """
    now = now or datetime.now(UTC)
    found: dict[str, ServerCertificate] = {}
    errors: list[str] = []
    for index, endpoint in enumerate(tier.proxy.endpoints if tier.proxy else ()):
        tls = endpoint.tls
        if tls is None:
            continue
        try:
            chain = _chain(text_of(read, tls.certificate), endpoint, now)
        except ValueError as wrong:
            errors.append(f"proxy.endpoints.{index}.tls.certificate = {tls.certificate!r}: {wrong}")
            continue
        name = tls.secret(endpoint.registry)
        value = None if tls.hsm else secret(name)
        errors += _key_errors(name, value, tls.certificate, chain[0]) if value is not None else ()
        found[tls.key_name(endpoint.registry)] = ServerCertificate(
            tls.certificate,
            pem(chain),
            min(each.not_valid_after_utc for each in chain),
            len(chain) > 1 and _names_a_responder(chain[0]),
            chain[0].fingerprint(SHA256()).hex(),
        )
    if errors:
        raise SettingsError(list(dict.fromkeys(errors)))
    return found


def notices(found: Iterable[ServerCertificate], now: datetime | None = None) -> list[str]:
    """A line for each certificate that ends within `NOTICE`."""
    now = now or datetime.now(UTC)
    ending = {each.file: each.ends for each in found if each.ends - now < NOTICE}
    return [
        f"proxy: {file} ends on {ends:%Y-%m-%d}, in {(ends - now).days} days; renew it (docs/tls.md)"
        for file, ends in ending.items()
    ]


def _chain(text: str, endpoint: Endpoint, now: datetime) -> Sequence[x509.Certificate]:
    """The checked certificates of an endpoint's file. Raises ValueError with rule and remedy."""
    chain = certificates(text)
    if not _covers(chain[0], endpoint.server_name):
        if any(_covers(each, endpoint.server_name) for each in chain):
            raise ValueError(f"the certificate for {endpoint.server_name} must stand first; move it there")
        raise ValueError(
            f"is for {', '.join(_names(chain[0])) or 'no name (subjectAltName)'}, not for server_name "
            f"{endpoint.server_name!r}; get one whose subjectAltName has it"
        )
    for signed, signer in pairwise(chain):
        try:
            signed.verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            raise ValueError(
                f"{shown(signer)} has not signed {shown(signed)}, which stands before it; put the server's certificate "
                "first and behind each one whose signature it bears"
            ) from None
    for each in chain:
        refuse_out_of_time(each, now)
    uses = _extension(chain[0], x509.ExtendedKeyUsage)
    if uses is not None and not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & {*uses}:
        raise ValueError(f"{shown(chain[0])} is no server's (extendedKeyUsage lacks serverAuth); get one that is")
    return chain


def _names(certificate: x509.Certificate) -> list[str]:
    names = _extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def _covers(certificate: x509.Certificate, name: str) -> bool:
    """Whether a client that asks for the name accepts it; a wildcard stands for one label."""
    try:
        name = str(ip_address(name))
    except ValueError:
        return any(each.lower() in (name, f"*.{name.partition('.')[2]}") for each in _names(certificate))
    return name in _names(certificate)


def _names_a_responder(certificate: x509.Certificate) -> bool:
    access = _extension(certificate, x509.AuthorityInformationAccess)
    return access is not None and any(each.access_method == AuthorityInformationAccessOID.OCSP for each in access)


def _extension(certificate: x509.Certificate, kind: type[Kind]) -> Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _key_errors(name: str, value: str, file: str, certificate: x509.Certificate) -> Iterator[str]:
    try:
        key = load_pem_private_key(value.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        yield (
            f"{name}: must be a private key in PEM form without a passphrase; "
            f"'openssl pkey -in FILE | pulumi config set --secret {name}'"
        )
        return
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        yield f"{name}: is not the private key of the certificate in {file}; set the one that it was made for"
