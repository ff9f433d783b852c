"""TLS: whether the runtime believes whom it talks to, and whether both ends speak it at all."""

from __future__ import annotations

import http.client
from typing import Optional

from doctor.failures import named
from doctor.finding import Seen
from doctor.http_client import Connection, Place, Unanswered, ask
from doctor.shown_certificate import Shown, shown
from doctor.trust import context, system_bundle
from doctor.unread_authorities import unread
from doctor.walk import Walk

TLS_WANTED = (b"plain HTTP request was sent to HTTPS port", b"HTTP request to an HTTPS server")
"""How nginx and Go answer HTTP where they expect TLS; others send a TLS alert, or hang up."""


def place(walk: Walk) -> Place:
    """The endpoint, as the runtime talks to it."""
    endpoint = walk.endpoint
    secure = walk.scheme == "https"
    trust = context(endpoint.authorities, system=endpoint.system_trust, verify=endpoint.verify) if secure else None
    return Place(walk.name, walk.port, walk.addresses[0], trust)


def look(walk: Walk) -> Seen:
    """Shake hands; of HTTP, see that it is what the server speaks."""
    return _secure(walk) if walk.scheme == "https" else _plain(walk)


def _secure(walk: Walk) -> Seen:
    server = place(walk)
    connection = Connection(server)
    try:
        connection.connect()
        if walk.endpoint.verify and walk.endpoint.system_trust and (found := _by_unread(walk, server)):
            ours = walk.pull.server(walk.endpoint.url).host
            restart = "" if ours else walk.pull.runtime
            return walk.broken("tls", "tls-authority-not-read", found, found.split(":")[0], restart=restart)
        said = f"{connection.secure.version()}, " + ("certificate trusted" if walk.endpoint.verify else "not verified")
        return walk.ok("tls", said)
    except OSError as failure:
        return _failed(walk, server, failure)
    finally:
        connection.close()


def _by_unread(walk: Walk, server: Place) -> str:
    """The file of an authority by which alone the certificate is trusted, and which the runtime has not read yet."""
    for file in unread(walk.host, walk.pull.runtime):
        alone = [
            context((file,), system=False, verify=True),
            context(walk.endpoint.authorities, system=False, verify=True),
        ]
        if [_trusted(server._replace(context=each)) for each in alone] == [True, False]:
            return f"{file}: is newer than the start of {walk.pull.runtime}, which reads the system's authorities then"
    return ""


def _trusted(server: Place) -> bool:
    connection = Connection(server)
    try:
        connection.connect()
        return True
    except OSError:
        return False
    finally:
        connection.close()


def _failed(walk: Walk, server: Place, failure: OSError) -> Seen:
    cause, words = named(failure)
    if cause in ("http-answer-to-https", "connection-reset", "tls-refused"):
        answer = _http_status(server)
        if answer and walk.endpoint.plain_too:
            walk.plain = True
            return walk.ok("tls", "HTTP, since HTTPS is not spoken there (insecure-registries)")
        cause = "http-answer-to-https" if answer else "not-a-registry" if "http" in cause else cause
        return walk.broken("tls", cause, f"TLS: {words}; HTTP there: {answer or 'no answer'}")
    certificate = shown(server)
    if cause == "tls-expired" and certificate and certificate.starts < walk.clock < certificate.ends:
        return walk.broken(
            "host", "clock-skew", f"{_told(cause, words, certificate)}; this host's clock is {walk.skew:+.0f} s off"
        )
    return walk.broken(
        "tls",
        cause,
        _told(cause, words, certificate),
        issuer=certificate.issuer if certificate else "an unknown authority",
        names=certificate.names if certificate else "other names",
        ends=certificate.ends_said if certificate else "a day that is past",
        trusted=", ".join((*([system_bundle()] if walk.endpoint.system_trust else []), *walk.endpoint.authorities)),
    )


def _told(cause: str, words: str, certificate: Optional[Shown]) -> str:
    if certificate is None:
        return words
    more = {
        "tls-expired": f"it counts until {certificate.ends_said}",
        "tls-wrong-name": f"it names {certificate.names}",
    }.get(cause, f"signed by {certificate.issuer}")
    return f"{words}: the certificate of {certificate.subject}, {more}"


def _plain(walk: Walk) -> Seen:
    server = place(walk)
    try:
        answer = ask(server, f"{walk.endpoint.prefix}/", {})
    except Unanswered as none:
        cause, words = named(none.failure)
        if cause != "connection-timed-out" and shown(server):
            return walk.broken("tls", "https-answer-to-http", f"HTTP: {words}; TLS there: a certificate is shown")
        return walk.broken("tls", cause, f"GET {none.place.url}{walk.endpoint.prefix}/: {words}")
    # The words are lost where the server hangs up on what it has not read.
    if answer.status == 400 and (any(each in answer.body for each in TLS_WANTED) or shown(server)):
        return walk.broken("tls", "https-answer-to-http", f"GET {walk.endpoint.url}/v2/: {answer.line}: TLS is wanted")
    return walk.ok("tls", "none: HTTP")


def _http_status(server: Place) -> str:
    """The first line of an HTTP answer; empty where none comes."""
    connection = Connection(server._replace(context=None))
    try:
        connection.request("GET", "/v2/")
        response = connection.getresponse()
        return f"{response.status} {response.reason}"
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
