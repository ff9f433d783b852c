"""Why there was no answer, by its exception: a cause of the catalogue, and the words for its evidence. Pure."""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
from typing import Tuple

LATE = (TimeoutError, socket.timeout)
"""Two classes before Python 3.10."""
ROUTE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EINVAL)
"""EINVAL is what a route of type blackhole gives."""
OWN = (errno.EPERM, errno.EACCES)
"""A rule or a route of type prohibit of this very host."""
UNKNOWN = {2, 18, 19, 20, 21, 27}
"""X509_V_ERR_: issuer not found, self-signed, no issuer at hand, first signature not verified, untrusted."""
EXPIRED = {9, 10}
NAMES = {62, 64}
PLAIN = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")
"""What came was no TLS."""
VERSIONS = (
    "UNSUPPORTED_PROTOCOL",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "NO_PROTOCOLS_AVAILABLE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "VERSION_TOO_LOW",
    "TLSV1_ALERT_INSUFFICIENT_SECURITY",
)


def named(failure: Exception) -> Tuple[str, str]:
    """The cause's name, and what happened; of TLS the name is a first guess that the step `tls` looks into."""
    words = said(failure)
    if isinstance(failure, ssl.SSLCertVerificationError):
        code = failure.verify_code
        known = {**dict.fromkeys(EXPIRED, "tls-expired"), **dict.fromkeys(NAMES, "tls-wrong-name")}
        return known.get(code, "tls-unknown-authority" if code in UNKNOWN else "tls-refused"), words
    if isinstance(failure, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return "connection-reset", words
    if isinstance(failure, ssl.SSLError):
        reason = failure.reason or ""
        if reason in PLAIN:
            return "http-answer-to-https", words
        return ("tls-version" if reason in VERSIONS else "tls-refused"), words
    if isinstance(failure, LATE) or getattr(failure, "errno", 0) == errno.ETIMEDOUT:
        return "connection-timed-out", words
    if isinstance(failure, ConnectionRefusedError):
        return "connection-refused", words
    if isinstance(failure, (ConnectionError, http.client.IncompleteRead)):
        return "connection-reset", words
    if isinstance(failure, OSError) and failure.errno in (*ROUTE, *OWN):
        return "no-route", words
    return "not-a-registry", words


def said(failure: Exception) -> str:
    """What happened, in the kernel's or OpenSSL's words."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return failure.verify_message.rstrip(".")
    if isinstance(failure, ssl.SSLError):
        return (failure.reason or str(failure)).replace("_", " ").lower()
    if isinstance(failure, LATE):
        return "no answer in time"
    if isinstance(failure, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(failure, http.client.IncompleteRead):
        return "the connection was closed in the middle of the answer"
    if isinstance(failure, http.client.BadStatusLine):
        return f"the answer is no HTTP: {str(failure)[:40]!r}"
    if isinstance(failure, OSError) and failure.errno:
        return os.strerror(failure.errno)
    return str(failure) or type(failure).__name__
