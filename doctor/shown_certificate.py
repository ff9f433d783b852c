"""The certificate that a server shows, whoever has signed it."""

from __future__ import annotations

import os
import ssl
from typing import Any, Dict, NamedTuple, Optional

from doctor.http_client import Connection, Place
from doctor.trust import context


class Shown(NamedTuple):
    """What it says of itself; times in seconds since 1970."""

    subject: str
    issuer: str
    names: str
    starts: float
    ends: float
    ends_said: str


def shown(place: Place) -> Optional[Shown]:
    """The server's certificate; None where there is no handshake, or nothing reads it."""
    connection = Connection(place._replace(context=context((), system=False, verify=False)))
    try:
        connection.connect()
        der = connection.secure.getpeercert(binary_form=True)
        return read(der) if der else None
    except (OSError, ValueError):
        return None
    finally:
        connection.close()


def read(der: bytes) -> Optional[Shown]:
    """CPython can read a certificate that it need not trust only from a file, which here is in memory."""
    decode = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)
    if decode is None:
        return None
    memory = os.memfd_create("certificate")
    try:
        os.write(memory, ssl.DER_cert_to_PEM_cert(der).encode())
        return _shown(decode(f"/proc/self/fd/{memory}"))
    except (OSError, ValueError):
        return None
    finally:
        os.close(memory)


def _shown(document: Dict[str, Any]) -> Shown:
    """Raises ValueError for times that are none."""
    return Shown(
        _name(document.get("subject", ())),
        _name(document.get("issuer", ())),
        ", ".join(value for _, value in document.get("subjectAltName", ())) or "none",
        ssl.cert_time_to_seconds(document["notBefore"]),
        ssl.cert_time_to_seconds(document["notAfter"]),
        str(document["notAfter"]),
    )


def _name(parts: Any) -> str:
    pairs = dict(pair for part in parts for pair in part)
    return str(pairs.get("commonName") or pairs.get("organizationName") or "nobody")
