"""Certificates as PEM text (RFC 7468), and the files in which a host keeps those of an authority.

A line before a certificate is none to Go, OpenSSL, GnuTLS, p11-kit and update-ca-certificates, so it holds our header.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from typing import List, Optional, Sequence, Set

from hostctl.errors import HostError
from hostctl.unit import HEADER

FOLDER = "/etc/http-registry/authorities"
CERTIFICATE = "CERTIFICATE"
BLOCK = re.compile(r"-----BEGIN ([^-\n]+)-----(.*?)-----END \1-----", re.DOTALL)


def path(authority: str) -> str:
    """The file that holds an authority's certificates: what `ca` of a hosts.toml names."""
    return f"{FOLDER}/{authority}.pem"


def split(pem: str, where: str) -> List[bytes]:
    """The certificates in a PEM text, as DER, each once.

    Raises HostError where there is none, or anything else: `where` says in which text, whose content is not shown.
    """
    found: List[bytes] = []
    for label, body in BLOCK.findall(pem):
        if label != CERTIFICATE:
            remedy = "which no host needs" if "PRIVATE KEY" in label else "not a certificate"
            raise HostError(f"{where}: holds a {label}, {remedy}; take it out and leave certificates only")
        der = _der(body)
        if der is None:
            raise HostError(f"{where}: certificate {len(found) + 1} is no base64; export it again")
        if der not in found:
            found.append(der)
    if not found:
        raise HostError(f"{where}: holds no certificate in PEM form")
    return found


def text(certificates: Sequence[bytes]) -> bytes:
    """A file of ours that holds these certificates (DER)."""
    return "".join([f"# {HEADER}\n", *map(_pem, certificates)]).encode()


def held(content: bytes) -> Set[bytes]:
    """The certificates (DER) in a file that may hold anything besides, such as a system's bundle."""
    blocks = BLOCK.findall(content.decode(errors="replace"))
    return {der for label, body in blocks if label == CERTIFICATE for der in [_der(body)] if der is not None}


def complaint(certificate: bytes, now: Optional[float] = None) -> Optional[str]:
    """Why a host can't use a certificate (DER) as an authority's, or None. OpenSSL reads it.

    OpenSSL's idea of an authority is wider than that of the settings, where basicConstraints has to say it.
    """
    import ssl  # takes a while, and only a change has a use for it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=certificate)
        authorities = context.get_ca_certs()
        if not authorities:
            return "is no authority's; take the certificate of who has signed it"
        ends = str(authorities[0]["notAfter"])
        over = ssl.cert_time_to_seconds(ends) < (time.time() if now is None else now)
    except (ssl.SSLError, ValueError):  # ValueError: it is empty, or its times are none
        return "is damaged; export it again"
    return f"has ended on {ends} by this host's clock; take its successor" if over else None


def _der(body: str) -> Optional[bytes]:
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _pem(certificate: bytes) -> str:
    body = base64.b64encode(certificate).decode()
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {CERTIFICATE}-----", *lines, f"-----END {CERTIFICATE}-----", ""])
