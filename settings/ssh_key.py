"""The SSH key with which a stack logs in to its hosts: two secrets, `ssh-key` and `ssh-key-before`. Pure.

A private key in OpenSSH's or PEM form. Only its public half is for others; nothing here keeps or shows the key.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from settings.errors import SettingsError

KEY, BEFORE = "ssh-key", "ssh-key-before"
"""The secrets: the key that hosts have or get, and the one before it, for hosts that do not have the new one yet."""
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey


def new_key() -> str:
    """A new ed25519 key, in OpenSSH's form."""
    return _text(Ed25519PrivateKey.generate())


def openssh(name: str, text: str) -> str:
    """The key of the secret `name` in OpenSSH's form, which every ssh-add reads. Raises SettingsError."""
    return _text(_key(name, text))


def public_half(name: str, text: str) -> str:
    """The public half of the key of the secret `name`: `type base64`. Raises SettingsError."""
    return _key(name, text).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def public_key(secret: Callable[[str], str | None]) -> str | None:
    """The public half of the stack's key, None where it has none. `secret` gives a secret's value, None if not set.

    Raises SettingsError for a key that can't be used, of the one before it too.
    """
    found: dict[str, str] = {}
    errors = []
    for name in (KEY, BEFORE):
        value = secret(name)
        try:
            found |= {name: public_half(name, value)} if value is not None else {}
        except SettingsError as wrong:
            errors += wrong.errors
    if secret(BEFORE) is not None and secret(KEY) is None:
        errors.append(
            f"{BEFORE}: without {KEY} nothing comes after it; set {KEY} ('make ssh-key' makes one), or remove it"
        )
    if errors:
        raise SettingsError(errors)
    return found.get(KEY)


def _key(name: str, text: str) -> PrivateKey:
    data = text.strip().encode() + b"\n"
    key: object = None
    try:
        key = load_ssh_private_key(data, None) if b"BEGIN OPENSSH" in data else load_pem_private_key(data, None)
    except TypeError:  # what cryptography raises for a key behind a passphrase
        raise SettingsError(
            [
                f"{name}: is protected by a passphrase, which nobody could type here; take it off a copy "
                f"('ssh-keygen -p -N \"\" -f COPY') and set that: the secret is encrypted itself"
            ]
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        pass
    if not isinstance(key, PrivateKey):
        raise SettingsError(
            [
                f"{name}: must be a private SSH key in OpenSSH or PEM form, of the type ed25519, ecdsa or rsa; "
                f"'pulumi config set --secret {name} < FILE', or 'make ssh-key'"
            ]
        )
    return key


def _text(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
