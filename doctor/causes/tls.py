"""The causes that the step `tls` can name."""

from __future__ import annotations

from typing import Tuple

from doctor.finding import CONTROLLER, Cause

RENEW = (
    (CONTROLLER, "{certificates}"),
    (CONTROLLER, "{repair}"),
)

CAUSES: Tuple[Cause, ...] = (
    Cause(
        "tls-unknown-authority",
        "x509: certificate signed by unknown authority",
        "The certificate at {url} is signed by {issuer}, whom {runtime} on this host does not trust ({trusted}); or "
        "the server does not send the certificates between.",
        "Put the authority's PEM file into the settings: authorities.N with name, certificate and registries "
        "[{name}:{port}]; `make up` takes it to every host. The server's own file must hold its whole chain "
        "(proxy.endpoints.N.tls.certificate).",
        ((CONTROLLER, "{repair}"),),
        (r"certificate signed by unknown authority", r"x509: certificate is not trusted"),
    ),
    Cause(
        "tls-authority-not-read",
        "x509: certificate signed by unknown authority, although curl on the host takes it",
        "The host's own store has the authority, but since after {runtime} was started, and that reads it once.",
        "An authority of the settings (authorities.N) is read without a restart, from a file of the runtime's own: "
        "`make up` puts that back. Another counts once the runtime is restarted, or named in the settings.",
        ((CONTROLLER, "{repair}"), ("{host}", "systemctl restart {restart}")),
    ),
    Cause(
        "tls-expired",
        "x509: certificate has expired or is not yet valid",
        "The certificate at {url} counts no longer, or not yet; its end is {ends}.",
        "Renew it: the stack's own by the command, another where it comes from (docs/tls.md).",
        RENEW,
        (r"certificate has expired or is not yet valid.* is after ", r"certificate has expired(?! or)"),
    ),
    Cause(
        "tls-wrong-name",
        "x509: certificate is valid for {names}, not {name}",
        "The runtime asks for {name}, and the certificate at {url} names {names}. A common name does not count.",
        "Use a name that it has (proxy.endpoints.N.server_name), or renew it with the name: the stack's own by the "
        "command.",
        RENEW,
        (
            r"x509: certificate is valid for .*, not ",
            r"doesn't contain any IP SANs",
            r"certificate is not valid for any names",
            r"certificate relies on legacy Common Name",
        ),
    ),
    Cause(
        "http-answer-to-https",
        "http: server gave HTTP response to HTTPS client",
        "{runtime} speaks HTTPS to {name} port {port}, as {said_by} has it, and the server speaks HTTP.",
        "Say http:// where the runtime looks: insecure-registries of daemon.json, http:// in hosts.toml. `make up` "
        "writes both for an endpoint without `tls`; or give the endpoint `tls`.",
        ((CONTROLLER, "{repair}"),),
        (r"server gave HTTP response to HTTPS client", r"first record does not look like a TLS handshake"),
    ),
    Cause(
        "https-answer-to-http",
        "Client sent an HTTP request to an HTTPS server.",
        "{runtime} speaks HTTP to {name} port {port}, as {said_by} has it, and the server speaks HTTPS.",
        "Say https:// where the runtime looks, and take the server out of insecure-registries: `make up` writes both "
        "for an endpoint with `tls`.",
        ((CONTROLLER, "{repair}"),),
        (
            r"HTTP request (was sent )?to (an )?HTTPS (server|port)",
            r"malformed HTTP (response|status code) .*\\x15",
            r"400 Bad Request",
        ),
    ),
    Cause(
        "tls-version",
        "remote error: tls: protocol version not supported",
        "{runtime} and the server at {url} have no version of TLS, or no cipher, in common. Runtimes speak 1.2 and "
        "newer.",
        "Let the server speak 1.2: proxy.endpoints.N.tls.minimum; or bring the older end up to date.",
        ((CONTROLLER, "{repair}"),),
        (r"tls: protocol version not supported", r"unsupported protocol version", r"tls: handshake failure"),
    ),
    Cause(
        "tls-refused",
        "tls: the handshake failed",
        "TLS with {url} ends in an error that is none of the usual ones: {evidence}.",
        "Look at the server's error log; where it asks for a client's certificate, the runtime must have one.",
        ((CONTROLLER, "{repair}"),),
        (r"tls: certificate required", r"tls: bad certificate", r"remote error: tls: (?!protocol version|handshake)"),
    ),
)
