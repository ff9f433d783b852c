"""An endpoint's server: where it listens, what all of its answers have, and what it answers itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from documents import nginx_replicas, nginx_status, nginx_tls
from documents.floating_address import floats
from documents.nginx_cache import API_VERSION, headers, hidden, passing
from documents.nginx_errors import error_locations, error_pages
from documents.nginx_limits import limited
from documents.nginx_log import access_log
from documents.nginx_text import Directive, block, directive
from hostctl.nginx_conf import MARKER, OURS
from proxy_alive.__main__ import PATH as ALIVE
from settings.proxy import Endpoint
from settings.registries import HostedRegistry
from settings.server_certificates import ServerCertificate
from settings.tier import Tier, base_url


def server(
    tier: Tier,
    endpoint: Endpoint,
    generation: str,
    certificates: Mapping[str, ServerCertificate],
    locations: Sequence[Directive],
) -> Directive:
    """The server of an endpoint."""
    assert tier.proxy is not None
    page = nginx_status.endpoint(tier)
    other_paths = ("!=", "1)") if page and page != endpoint else ("=", "0)")
    return block(
        "server",
        body=[
            directive("listen", endpoint.port, *(["ssl"] if endpoint.tls else [])),
            directive("include", f"{OURS}/listen-{endpoint.port}/*.conf"),
            directive("server_name", server_name(endpoint.server_name)),
            directive("server_tokens", "off"),
            access_log(),
            directive("gzip", "off"),
            directive("sendfile", "on"),
            directive("tcp_nopush", "on"),
            directive("include", f"{OURS}/threads/*.conf"),
            directive("include", f"{OURS}/open-files/*.conf"),
            directive("client_header_timeout", "15s"),
            directive("send_timeout", "15m"),
            directive("reset_timedout_connection", "on"),
            # A token of a registry with many repositories is long.
            directive("large_client_header_buffers", 4, "32k"),
            *limited(tier.proxy.limits),
            *passing(),
            *hidden(),
            version(),
            *error_pages(),
            block("if", "($http_registry_client", "=", "stranger)", body=[directive("return", 403)]),
            block("if", "($http_registry_plain_path", *other_paths, body=[directive("return", 404)]),
            _marker(generation),
            *_alive(tier, endpoint),
            *_tls(endpoint, certificates),
            *locations,
            *error_locations(),
        ],
    )


def redirect(endpoint: Endpoint, generation: str) -> Iterable[Directive]:
    """The server that sends plain HTTP on to an endpoint with TLS, where there is to be one."""
    if endpoint.tls and endpoint.tls.redirect_from:
        port = endpoint.tls.redirect_from
        yield nginx_tls.redirect(
            base_url("https", endpoint.server_name, endpoint.port),
            server_name(endpoint.server_name),
            port,
            directive("include", f"{OURS}/listen-{port}/*.conf"),
            access_log(),
            block("if", "($http_registry_client", "=", "stranger)", body=[directive("return", 403)]),
            _marker(generation),
        )


def _tls(endpoint: Endpoint, certificates: Mapping[str, ServerCertificate]) -> Sequence[Directive]:
    if endpoint.tls is None:
        return []
    key = endpoint.tls.key_name(endpoint.registry)
    return nginx_tls.server(endpoint.tls, key, certificates[key].staples)


def passed(registry: HostedRegistry) -> list[Directive]:
    """How requests go to a hosted registry."""
    trusted = nginx_tls.backend(registry.tls.name, authority_path(registry)) if registry.tls else ()
    return [*trusted, nginx_replicas.passed(registry)]


def authority_path(registry: HostedRegistry) -> str:
    """The certificate of whoever signed that of a registry behind the proxy."""
    return f"{OURS}/tls/backend-{registry.name}.ca"


def version() -> Directive:
    """What tells a client that this is a registry."""
    return directive("add_header", API_VERSION, "registry/2.0", "always")


def server_name(name: str) -> str:
    """An IPv6 address stands in brackets in the Host header."""
    return f"[{name}]" if ":" in name else name


def _alive(tier: Tier, endpoint: Endpoint) -> Iterable[Directive]:
    """Whether this endpoint works, for keepalived on this host: nginx itself, and the registry behind it.

    What the registry needs in its turn, such as its bucket, is the same for both proxies.
    """
    if not floats(tier):
        return
    registry = tier.registry(endpoint.registry)
    found = [directive("return", 204)]
    if isinstance(registry, HostedRegistry):
        limits = [directive("proxy_connect_timeout", "1s"), directive("proxy_read_timeout", "1s")]
        found = [directive("rewrite", "^", "/", "break"), *headers(), *limits, *passed(registry)]
    stranger = block("if", "($http_registry_client", "!=", "itself)", body=[directive("return", 404)])
    yield block("location", "=", ALIVE, body=[directive("access_log", "off"), stranger, *found])


def _marker(generation: str) -> Directive:
    """Which site is live, for hostctl on this host."""
    return block(
        "location",
        "=",
        MARKER,
        body=[
            directive("access_log", "off"),
            directive("default_type", "text/plain"),
            block("if", "($http_registry_client", "!=", "itself)", body=[directive("return", 404)]),
            directive("return", 200, generation),
        ],
    )
