"""TLS in nginx: an endpoint's server block, the redirect to it, its key in an HSM, and HTTPS to the registry behind it.

Protocols and ciphers are Mozilla's "intermediate" ones (https://wiki.mozilla.org/Security/Server_Side_TLS), without
DHE, which would need parameters of its own. No HTTP/2: an image's layers each have a connection, and it brings neither
them nor sendfile anything. A key is root's alone: nginx's main process reads it, its workers inherit it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from documents.document import HEADER_LINE, Document
from documents.nginx_text import Directive, block, directive, text
from hostctl.nginx_conf import OPENSSL_CONF, TLS
from settings.tls import Hsm, Tls
from settings.values import seconds

KTLS = f"{TLS}/ktls"
SYSTEM_OPENSSL_CONFS = ("/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf")
SYSTEM_CAS = "/etc/ssl/certs/ca-certificates.crt"
PROTOCOLS = {"1.2": ("TLSv1.2", "TLSv1.3"), "1.3": ("TLSv1.3",)}
CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
"""For TLS 1.2; those of TLS 1.3 are OpenSSL's own."""


def certificate_path(key: str) -> str:
    """The certificate chain's file on the host."""
    return f"{TLS}/{key}.crt"


def secret_path(tls: Tls, key: str) -> str:
    """The file of what is secret: the private key, or the PIN of the token that holds it."""
    return f"{TLS}/{key}.{'pin' if tls.hsm else 'key'}"


def certificate(key: str, pem: str) -> Document:
    """The certificate chain's file."""
    return Document(certificate_path(key), HEADER_LINE + pem)


def secret(tls: Tls, key: str, value: str) -> Document:
    """The file of what is secret. Nothing stands before a PIN, and no line end behind it: it is read as it is."""
    content = value.strip() if tls.hsm else f"{HEADER_LINE}{value.strip()}\n"
    return Document(secret_path(tls, key), content, 0o600)


def server(tls: Tls, key: str, staples: bool) -> Sequence[Directive]:
    """What makes a server block, whose `listen` says `ssl`, one of TLS. `add_header` of a location hides these ones.

    `staples`: whether the certificate's file has what OCSP stapling needs.
    """
    return (
        directive("ssl_certificate", certificate_path(key)),
        directive("ssl_certificate_key", uri(tls.hsm, secret_path(tls, key)) if tls.hsm else secret_path(tls, key)),
        directive("ssl_protocols", *PROTOCOLS[tls.minimum]),
        directive("ssl_ciphers", CIPHERS),
        directive("ssl_prefer_server_ciphers", "off"),
        directive("ssl_session_cache", "shared:http-registry-tls:10m"),
        directive("ssl_session_timeout", "1d"),
        directive("ssl_session_tickets", "off"),
        # Without sendfile each is a way to the thread pool and back: half the throughput with 32k, the default.
        directive("output_buffers", 2, "512k"),
        directive("include", f"{KTLS}/*.conf"),
        # Who has signed the status is for the client to judge: nginx would need the root, which chains leave out.
        *([directive("ssl_stapling", "on")] if staples else ()),
        *hsts(tls),
    )


def ktls() -> Document:
    """For hosts that need "ktls": the kernel encrypts what sendfile reads. Its file exists only there, since older
    versions of nginx and OpenSSL don't start with it."""
    return Document(f"{KTLS}/on.conf", HEADER_LINE + text([directive("ssl_conf_command", "Options", "KTLS")]))


def hsts(tls: Tls) -> Iterable[Directive]:
    """The header that binds browsers to HTTPS."""
    if tls.hsts:
        yield directive("add_header", "Strict-Transport-Security", f"max-age={seconds(tls.hsts)}", "always")


def redirect(https: str, server_name: str, port: int, *more: Directive) -> Directive:
    """The server on `port` that sends every request to the same path below `https`, its method and body kept.

    `more`: what stands in it before that, such as another `listen` and who may ask at all.
    """
    return block(
        "server",
        body=[
            directive("listen", port),
            directive("server_name", server_name),
            directive("server_tokens", "off"),
            *more,
            block("location", "/", body=[directive("return", 308, f"{https}$request_uri")]),
        ],
    )


def uri(hsm: Hsm, pin_file: str) -> str:
    """What `ssl_certificate_key` takes for a key in a token: an engine's name and a PKCS#11 URI (RFC 7512).

    The PIN stands in a file: nginx quotes this text in its errors.
    """
    token, name = (quote(each, safe="") for each in (hsm.token, hsm.object))
    return f"engine:pkcs11:pkcs11:token={token};object={name};type=private;pin-source=file:{pin_file}"


def openssl_conf(hsm: Hsm) -> Document:
    """What OPENSSL_CONF of nginx.service has to name: the system's settings, and the engine of libp11 with the module.

    `init = 1`, since nginx loads keys of an engine that it has not initialised. OpenSSL passes over an include that is
    missing.
    """
    lines = (
        *(f".include {each}" for each in SYSTEM_OPENSSL_CONFS),
        "[default]",
        "openssl_conf = openssl_init",
        "[openssl_init]",
        "engines = http_registry_engines",
        "[http_registry_engines]",
        "pkcs11 = http_registry_pkcs11",
        "[http_registry_pkcs11]",
        "engine_id = pkcs11",
        f"MODULE_PATH = {hsm.module}",
        "init = 1",
    )
    return Document(OPENSSL_CONF, HEADER_LINE + "".join(f"{line}\n" for line in lines))


def service_lines() -> Sequence[str]:
    """Lines of a drop-in of nginx.service, [Service], where a key is in a token; a change of them needs a restart."""
    return (f"Environment=OPENSSL_CONF={OPENSSL_CONF}",)


def backend(name: str, ca: str = SYSTEM_CAS) -> Sequence[Directive]:
    """What goes with a `proxy_pass https://…`: the registry behind it must prove that it is `name`, to one whom `ca` (a
    file on the host) trusts. nginx's own default is to believe everybody."""
    return (
        directive("proxy_ssl_verify", "on"),
        directive("proxy_ssl_verify_depth", 4),
        directive("proxy_ssl_trusted_certificate", ca),
        directive("proxy_ssl_name", name),
        directive("proxy_ssl_server_name", "on"),
        directive("proxy_ssl_protocols", *PROTOCOLS["1.2"]),
    )
