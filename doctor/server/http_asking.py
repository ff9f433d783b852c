"""One HTTP request from this host to a registry, a token server or a store: its own way, without a proxy."""

from __future__ import annotations

import http.client
import ssl
from typing import Dict, Mapping, NamedTuple
from urllib.parse import urlsplit

SECONDS = 4.0
LARGEST = 1 << 16


class Answer(NamedTuple):
    """Status, headers by lower-case names, and the body's beginning."""

    status: int
    headers: Dict[str, str]
    body: bytes


def ask(url: str, headers: Mapping[str, str] = {}, *, authorities: str = "", verify: bool = True) -> Answer:
    """GET it. `authorities`: PEM of those trusted besides the system's.

    Raises OSError where nobody answers, or where it is no URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as odd:
        raise OSError("no URL") from odd
    if not host or any(each <= " " or each == "\x7f" for each in host):
        raise OSError("no URL")
    if parts.scheme == "https":
        context = ssl.create_default_context(cadata=None)
        if authorities:
            context.load_verify_locations(cadata=authorities)
        if not verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    return said(connection, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers)


def said(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
    """What a server answers on a connection, which is closed. Raises OSError where it does not."""
    try:
        connection.request(method, path, headers=dict(headers))
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read(LARGEST))
    except (http.client.HTTPException, ValueError) as odd:  # ValueError: a name that DNS can't have
        raise OSError(f"no HTTP: {type(odd).__name__}") from odd
    finally:
        connection.close()


def why(failure: OSError) -> str:
    """A failure in few words."""
    return str(getattr(failure, "strerror", "") or failure or type(failure).__name__)
