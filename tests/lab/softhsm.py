"""A PKCS#11 token on the registry's host that holds a private key, made as an administrator makes it (docs/tls.md)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.lab.hosts import must

HOST = "registry"
MODULE = "/usr/lib/softhsm/libsofthsm2.so"
LABEL, KEY = "registry", "web"
TOKENS = "/var/lib/softhsm/tokens"
MAKE = f"""
set -e
read -r PIN; read -r SO_PIN; export PIN SO_PIN
tool="pkcs11-tool --module {MODULE} --token-label {LABEL}"
pkcs11-tool --module {MODULE} --init-token --slot-index 0 --label {LABEL} --so-pin env:SO_PIN
$tool --init-pin --login --login-type so --so-pin env:SO_PIN --pin env:PIN
$tool --login --pin env:PIN --keypairgen --key-type EC:prime256v1 --label {KEY} --id 01
usermod -aG softhsm www-data
chmod -R g+rX {TOKENS}
"""
REQUEST = f"""
umask 077; cat > /run/pin
PKCS11_MODULE_PATH={MODULE} openssl req -new -engine pkcs11 -keyform engine -subj /CN=web \\
    -key 'pkcs11:token={LABEL};object={KEY};type=private;pin-source=file:/run/pin' 2>/dev/null
status=$?; rm /run/pin; exit $status
"""


@dataclass(frozen=True)
class Token:
    """What opens it, and a request (PEM) to have its key signed."""

    pin: str
    request: str


@contextmanager
def token() -> Iterator[Token]:
    """It is gone afterwards, and nginx's workers may read tokens no longer."""
    pin = f"pin-{secrets.token_hex(8)}"
    try:
        must(HOST, MAKE, stdin=f"{pin}\n{secrets.token_hex(8)}\n")
        yield Token(pin, must(HOST, REQUEST, stdin=pin))
    finally:
        must(HOST, f"rm -rf {TOKENS}/*; gpasswd -d www-data softhsm >/dev/null 2>&1; true")
