"""Whom a runtime trusts: Go's rules of certificates (crypto/x509), told to OpenSSL."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Tuple

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where Go looks for the system's authorities; the first file that is there counts (crypto/x509/root_linux.go)."""
PARTIAL_CHAIN = 0x80000
"""X509_V_FLAG_PARTIAL_CHAIN: a chain may end at any certificate that is trusted, as Go has it."""


def system_bundle() -> str:
    """The file with the system's authorities; empty where there is none."""
    return next((each for each in BUNDLES if Path(each).exists()), "")


def context(authorities: Tuple[str, ...], *, system: bool, verify: bool) -> ssl.SSLContext:
    """How TLS is spoken: from 1.2 up, as runtimes do; names are subjectAltNames, never common names."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.hostname_checks_common_name = False
    made.verify_flags |= PARTIAL_CHAIN
    made.set_ciphers("DEFAULT:@SECLEVEL=1")
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        return made
    for file in (*((system_bundle(),) if system else ()), *authorities):
        try:
            made.load_verify_locations(file)
        except (OSError, ssl.SSLError):
            continue  # not there, or holds no certificate: nobody in it is trusted
    return made
