"""The files that go with registries: certificates and public keys, read and checked before any host is touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from settings.certificates import certificates, pem, refuse_out_of_time, shown, text_of
from settings.errors import SettingsError
from settings.registries import HostedRegistry, Registry
from settings.tier import Tier

KEY_TYPES = ("EC", "OKP", "RSA")
"""Key types with a public half (RFC 7518, section 6.1; RFC 8037)."""
PUBLIC = {"kty", "kid", "use", "key_ops", "alg", "n", "e", "crv", "x", "y"}
"""What a public key of these types may say (RFC 7517, 7518); chains of certificates are left out."""


@dataclass(frozen=True)
class RegistryFiles:
    """The texts of a registry's files; None for one that it does not name."""

    authority: str | None = None
    """Whom the registry trusts besides the authorities in its image."""
    token_certificate: str | None = None
    token_jwks: str | None = None
    tls_certificate: str | None = None
    tls_authority: str | None = None


def registry_files(tier: Tier, read: Callable[[str], str], now: datetime | None = None) -> dict[str, RegistryFiles]:
    """The files of each registry, by its name.

    `read` gives the text of a file below the project folder, or raises OSError or UnicodeDecodeError.

    Raises SettingsError with every error found.
    """
    now = now or datetime.now(UTC)
    found: dict[str, RegistryFiles] = {}
    errors: list[str] = []
    for index, registry in enumerate(tier.registries):
        texts: dict[str, str] = {}
        for field, key, name in _named(registry):
            try:
                text = text_of(read, name)
                texts[field] = _jwks(text) if field == "token_jwks" else _chain(text, now)
            except ValueError as wrong:
                errors.append(f"registries.{index}.{key} = {name!r}: {wrong}")
        found[registry.name] = files = RegistryFiles(**texts)
        try:
            _check_server(registry, files)
        except ValueError as wrong:
            errors.append(f"registries.{index}.tls.{wrong}")
    if errors:
        raise SettingsError(errors)
    return found


def _named(registry: Registry) -> Iterator[tuple[str, str, str]]:
    """Each file that a registry names: the field it fills, its key path, its name."""
    hosted = isinstance(registry, HostedRegistry)
    if registry.authority:
        yield "authority", "storage.s3.authority" if hosted else "authority", registry.authority
    if isinstance(registry, HostedRegistry):
        if registry.token and registry.token.certificate:
            yield "token_certificate", "token.certificate", registry.token.certificate
        if registry.token and registry.token.jwks:
            yield "token_jwks", "token.jwks", registry.token.jwks
        if registry.tls:
            yield "tls_certificate", "tls.certificate", registry.tls.certificate
            yield "tls_authority", "tls.authority", registry.tls.authority


def _chain(text: str, now: datetime) -> str:
    found = certificates(text)
    for each in found:
        refuse_out_of_time(each, now)
    return pem(found)


def _check_server(registry: Registry, files: RegistryFiles) -> None:
    """What nginx would refuse at the first request. Raises ValueError that starts with the key."""
    if not isinstance(registry, HostedRegistry) or not registry.tls:
        return
    if files.tls_certificate is None or files.tls_authority is None:
        return
    tls = registry.tls
    leaf, *others = x509.load_pem_x509_certificates(files.tls_certificate.encode())
    trusted = x509.load_pem_x509_certificates(files.tls_authority.encode())
    if not _is_for(leaf, tls.name):
        raise ValueError(
            f"name = {tls.name!r}: {shown(leaf)} is not for it (subjectAltName); take a name that is in the certificate"
        )
    if not any(_signed(leaf, by) for by in [*others, *trusted]):
        raise ValueError(
            f"authority = {tls.authority!r}: none in it, and none behind the certificate in {tls.certificate}, has "
            f"signed {shown(leaf)}; put who has signed it there"
        )


def _is_for(leaf: x509.Certificate, name: str) -> bool:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    wild = "*." + name.partition(".")[2]
    return bool({name, wild} & {each.lower() for each in names.get_values_for_type(x509.DNSName)})


def _signed(leaf: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_text(value: object) -> bool:
    return all(isinstance(each, str) for each in (value if isinstance(value, list) else [value]))


def _jwks(text: str) -> str:
    """The key set, written anew. Raises ValueError with rule and remedy."""
    try:
        data: Any = json.loads(text)
        keys = data["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError('must be a JSON Web Key Set: {"keys": [...]}') from None
    if not isinstance(keys, list) or not keys or not all(isinstance(each, Mapping) for each in keys):
        raise ValueError("must hold a key at least; export the token server's public keys")
    for each in keys:
        if each.get("kty") not in KEY_TYPES:
            raise ValueError(f"holds a key that is none of {', '.join(KEY_TYPES)}; a shared secret can't be used")
        if not isinstance(each.get("kid"), str) or not each["kid"]:
            raise ValueError("holds a key without a kid, which no token could name; give it one")
        if more := sorted(set(each) - PUBLIC):
            raise ValueError(f"holds more than a public key ({', '.join(more)}); leave only the public half in it")
        if odd := sorted(name for name, value in each.items() if not _is_text(value)):
            raise ValueError(f"holds a key whose {', '.join(odd)} is no text (RFC 7517); export it again")
    if len({each["kid"] for each in keys}) < len(keys):
        raise ValueError("holds two keys with one kid; give each its own")
    return json.dumps({"keys": keys}, indent=2, sort_keys=True) + "\n"
