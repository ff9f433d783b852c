"""The nginx site before the registries: who may ask what, and what is answered from the cache.

Each endpoint has a cache of its own: what one user may pull from a hosted registry is nobody's by way of a mirror.
Behind the endpoints' servers stand inner ones on sockets, which only nginx's workers reach: see nginx_passwords,
nginx_hosted, nginx_mirror.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from documents import (
    nginx_gate,
    nginx_hosted,
    nginx_mirror,
    nginx_passwords,
    nginx_replicas,
    nginx_status,
    nginx_tls,
)
from documents.canary import canaries
from documents.document import HEADER_LINE, Document
from documents.floating_address import floats
from documents.nginx_cache import API_VERSION, headers, hidden, host, passing, zone
from documents.nginx_errors import error_locations, error_pages
from documents.nginx_text import Directive, block, directive, text
from hostctl.nginx_conf import MARKER, OPEN_FILES, OPENSSL_CONF, OURS, RIGHT, SITE
from hostctl.units.origin import SOCKET as ORIGIN_SOCKET
from proxy_alive.__main__ import PATH as ALIVE
from settings.certificates import Certificate
from settings.proxy import Endpoint, Limits, User
from settings.registries import CacheRegistry, HostedRegistry
from settings.registry_files import RegistryFiles
from settings.server_certificates import ServerCertificate
from settings.tier import Tier, base_url
from settings.values import is_ip_address

CACHES = "/var/cache/nginx/http-registry"
ACCESS_LOG = "/var/log/nginx/http-registry.access.log"
LOOPBACK = "127.0.0.0/8"

PATH_SEGMENT = "[A-Za-z0-9_][A-Za-z0-9._:+=~-]*"
"""Names, tags, digests and upload ids of the distribution spec; none starts with a dot or needs an escape."""

LOG_FIELDS = {
    "time": "$time_iso8601",
    "at": "$msec",
    "client": "$remote_addr",
    "user": "$remote_user",
    "host": "$host",
    "server": "$server_name",
    "port": "$server_port",
    "request": "$request",
    "request_bytes": "$request_length",
    "range": "$http_range",
    "status": "$status",
    "bytes": "$body_bytes_sent",
    "length": "$sent_http_content_length",
    "seconds": "$request_time",
    "cache": "$upstream_cache_status",
    "upstream_status": "$upstream_status",
    "upstream_bytes": "$upstream_bytes_received",
    "upstream_seconds": "$upstream_response_time",
    "agent": "$http_user_agent",
}
"""The access log's fields; no header that holds credentials is among them. pull_metrics/access_log.py reads them.

Of a blob's slices the first is in the line of the whole answer. Each other one has a line of its own where metrics are
on: `request_bytes` is 0 there, `cache` and `upstream_bytes` are the slice's.
"""


@dataclass(frozen=True)
class NginxSite:
    """The site's files, and what hostctl must know about them.

    `optional`: files for hosts that have a certain ability ("ipv6", "threads", "open_files", "ktls"), with its name.
    `more`: certificates, and what is served as it is. `generation`: what the marker answers once these files are live.
    `caches`: folders that nginx fills. `service_lines`: what the service nginx needs besides.
    """

    site: Document
    optional: tuple[tuple[Document, str], ...]
    more: tuple[Document, ...]
    generation: str
    endpoints: tuple[Endpoint, ...]
    certificates: Mapping[str, ServerCertificate]
    caches: tuple[str, ...]
    service_lines: tuple[str, ...]
    users: tuple[User, ...]
    bcrypt_cost: int

    @property
    def documents(self) -> tuple[Document, ...]:
        """What a person reads of it, the optional files included."""
        openssl = (each for each in self.more if each.path == OPENSSL_CONF)
        return self.site, *(each for each, _ in self.optional), *openssl

    def shown_certificates(self) -> dict[str, str]:
        """What a person reads of each certificate, by its path on the host."""
        return {
            nginx_tls.certificate_path(key): f"{each.file}: until {each.ends:%Y-%m-%d}, SHA-256 {each.fingerprint}\n"
            for key, each in self.certificates.items()
        }

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit nginx-proxy, but for what is secret: `users` with their passwords, and the files
        of `secrets`."""
        optional = ({**each.as_wish(), "needs": needs} for each, needs in self.optional)
        return {
            "files": [self.site.as_wish(), *optional, *(each.as_wish() for each in self.more)],
            "generation": self.generation,
            "probes": [probe for each in self.endpoints for probe in self._probes(each)],
            "bcrypt_cost": self.bcrypt_cost,
            "cache_folders": list(self.caches),
            "service_lines": list(self.service_lines),
            "logs": [ACCESS_LOG],
        }

    def _probes(self, endpoint: Endpoint) -> Iterable[dict[str, Any]]:
        host = _server_name(endpoint.server_name)
        probe: dict[str, Any] = {"port": endpoint.port, "host": host}
        if endpoint.tls:
            probe["fingerprint"] = self.certificates[endpoint.tls.key_name(endpoint.registry)].fingerprint
        yield probe
        if endpoint.tls and endpoint.tls.redirect_from:
            yield {"port": endpoint.tls.redirect_from, "host": host}

    def secrets(self, known: Mapping[str, str]) -> list[dict[str, Any]]:
        """The files that hold what is secret: each key, or its token's PIN. `known`: those, by the key's name."""
        found = {}
        for each in self.endpoints:
            if each.tls:
                name = each.tls.key_name(each.registry)
                found[name] = nginx_tls.secret(each.tls, name, known[name]).as_wish()
        return list(found.values())


def render(
    tier: Tier,
    certificates: Mapping[str, ServerCertificate] | None = None,
    registry_files: Mapping[str, RegistryFiles] | None = None,
    authorities: Sequence[Certificate] = (),
) -> NginxSite:
    """The site of a tier that has a proxy.

    `certificates`: those of endpoints with TLS, by the names of their keys. `registry_files`: what the registries name.
    `authorities`: those of the tier, for the status page.
    """
    assert tier.proxy is not None
    certificates = certificates or {}
    listening = tuple(
        (_listen_ipv6(port, tls), "ipv6")
        for port, tls in sorted({**_redirecting(tier), **_endpoint_ports(tier)}.items())
    )
    threads = Document(f"{OURS}/threads/on.conf", HEADER_LINE + text([directive("aio", "threads")]))
    open_files = Document(f"{OURS}/open-files/on.conf", HEADER_LINE + text(_kept_open()))
    with_tls = [each for each in tier.proxy.endpoints if each.tls]
    optional = (
        *listening,
        (threads, "threads"),
        (open_files, "open_files"),
        *([(nginx_tls.ktls(), "ktls")] if with_tls else []),
    )
    more = (
        *(file for each in canaries(tier).values() for file in each.files),
        *([Document(RIGHT, "right\n")] if _any_passwords(tier) else []),
        *(nginx_tls.certificate(key, each.pem) for key, each in certificates.items()),
        *_authorities(tier, registry_files or {}),
        *_openssl_conf(with_tls),
        *nginx_status.files(tier, authorities),
    )
    unmarked = _site(tier, "", certificates)
    generation = _digest([unmarked, *(each.text for each, _ in optional), *(each.text for each in more)])
    return NginxSite(
        Document(SITE, _site(tier, generation, certificates)),
        optional,
        more,
        generation,
        tier.proxy.endpoints,
        certificates,
        tuple(_caches(tier)),
        tuple(nginx_tls.service_lines()) if any(each.tls and each.tls.hsm for each in with_tls) else (),
        tier.proxy.users,
        tier.proxy.bcrypt_cost,
    )


def _caches(tier: Tier) -> Iterable[str]:
    assert tier.proxy is not None
    for each in tier.proxy.endpoints:
        yield f"{CACHES}/{each.key}"
        if isinstance(tier.registry(each.registry), HostedRegistry):
            yield nginx_hosted.verdicts_folder(each)
    if _any_passwords(tier):
        yield nginx_passwords.FOLDER
    if nginx_status.endpoint(tier):
        yield nginx_status.FINDINGS_FOLDER  # goes with the site, too


def _endpoint_ports(tier: Tier) -> dict[int, bool]:
    """The ports of the endpoints, and whether they speak TLS: all of a port do, or none."""
    assert tier.proxy is not None
    return {each.port: each.tls is not None for each in tier.proxy.endpoints}


def _redirecting(tier: Tier) -> dict[int, bool]:
    assert tier.proxy is not None
    return {each.tls.redirect_from: False for each in tier.proxy.endpoints if each.tls and each.tls.redirect_from}


def _authorities(tier: Tier, files: Mapping[str, RegistryFiles]) -> Iterable[Document]:
    """Whom nginx trusts to have signed the certificate of a registry behind it that speaks HTTPS."""
    assert tier.proxy is not None
    for name in dict.fromkeys(each.registry for each in tier.proxy.endpoints):
        registry = tier.registry(name)
        if isinstance(registry, HostedRegistry) and registry.tls:
            yield Document(_authority_path(registry), HEADER_LINE + (files[name].tls_authority or ""))


def _authority_path(registry: HostedRegistry) -> str:
    return f"{OURS}/tls/backend-{registry.name}.ca"


def _openssl_conf(endpoints: Sequence[Endpoint]) -> Iterable[Document]:
    hsms = [each.tls.hsm for each in endpoints if each.tls and each.tls.hsm]
    if hsms:
        yield nginx_tls.openssl_conf(hsms[0])


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]


def _listen_ipv6(port: int, tls: bool) -> Document:
    """In a file of its own, since nginx does not start with it where the kernel has no IPv6."""
    listen = directive("listen", f"[::]:{port}", *(["ssl"] if tls else []))
    return Document(f"{OURS}/listen-{port}/ipv6.conf", HEADER_LINE + text([listen]))


def _site(tier: Tier, generation: str, certificates: Mapping[str, ServerCertificate]) -> str:
    assert tier.proxy is not None
    proxy = tier.proxy
    behind = {each.registry: tier.registry(each.registry) for each in proxy.endpoints}
    page = nginx_status.endpoint(tier)
    shared = [_log_format(), *_clients(tier), _plain_paths(page, tier), host(), *_limits(proxy.limits)]
    if _any_passwords(tier):
        shared += nginx_passwords.shared(proxy.limits)
    if any(isinstance(each, HostedRegistry) for each in behind.values()):
        shared += nginx_hosted.maps()
    if uses_origin(tier):
        service = directive("server", f"unix:{ORIGIN_SOCKET}")
        shared.append(block("upstream", nginx_mirror.ORIGIN, body=[service, directive("keepalive", 32)]))
    hosted = [each for each in behind.values() if isinstance(each, HostedRegistry)]
    shared += [upstream for each in hosted for upstream in nginx_replicas.upstreams(each)]
    shared += nginx_gate.shared(tier)
    bounds = (f"max_size={proxy.cache.size}", f"inactive={proxy.cache.unused}")
    zones: list[Directive] = []
    servers: list[Directive] = []
    measured = tier.metrics is not None
    for endpoint in proxy.endpoints:
        registry = behind[endpoint.registry]
        added = [_version(), *(nginx_tls.hsts(endpoint.tls) if endpoint.tls else ())]
        zones.append(zone(f"http-registry-{endpoint.key}", f"{CACHES}/{endpoint.key}", *bounds))
        if isinstance(registry, CacheRegistry):
            servers += nginx_mirror.shared(endpoint, registry, proxy.cache)
            canary = canaries(tier)[registry.serves]
            locations = nginx_mirror.locations(endpoint, registry, canary, added, each_slice_logged=measured)
        else:
            backend = _backend(registry)
            servers += nginx_hosted.shared(endpoint, registry, proxy.cache, backend)
            store = _store(registry) or backend
            locations = nginx_hosted.locations(
                endpoint, registry, proxy.cache, backend, store, added, each_slice_logged=measured
            )
            if registry.serves:
                password = [] if registry.token else nginx_passwords.required()
                locations = (*canaries(tier)[registry.serves].locations([*password, *added]), *locations)
        locations = nginx_gate.locations(tier, endpoint, locations)
        if endpoint == page:
            locations = (*locations, *nginx_status.locations(added))
        servers.append(_server(tier, endpoint, generation, [*_tls(endpoint, certificates), *locations]))
        servers += _redirect(endpoint, generation)
    return HEADER_LINE + text([*zones, *shared, *servers])


def _tls(endpoint: Endpoint, certificates: Mapping[str, ServerCertificate]) -> Sequence[Directive]:
    if endpoint.tls is None:
        return []
    key = endpoint.tls.key_name(endpoint.registry)
    return nginx_tls.server(endpoint.tls, key, certificates[key].staples)


def _redirect(endpoint: Endpoint, generation: str) -> Iterable[Directive]:
    if endpoint.tls and endpoint.tls.redirect_from:
        port = endpoint.tls.redirect_from
        yield nginx_tls.redirect(
            base_url("https", endpoint.server_name, endpoint.port),
            _server_name(endpoint.server_name),
            port,
            directive("include", f"{OURS}/listen-{port}/*.conf"),
            directive("access_log", ACCESS_LOG, "http-registry"),
            block("if", "($http_registry_client", "=", "stranger)", body=[directive("return", 403)]),
            _marker(generation),
        )


def uses_origin(tier: Tier) -> bool:
    """Whether something behind the proxy comes by the origin service: what a mirror lacks, or blobs of a store."""
    assert tier.proxy is not None
    behind = [tier.registry(each.registry) for each in tier.proxy.endpoints]
    return any(isinstance(each, CacheRegistry) or each.storage.s3 for each in behind)


def _any_passwords(tier: Tier) -> bool:
    assert tier.proxy is not None
    return any(_asks_for_passwords(tier, each) for each in tier.proxy.endpoints)


def _asks_for_passwords(tier: Tier, endpoint: Endpoint) -> bool:
    registry = tier.registry(endpoint.registry)
    return endpoint.login if isinstance(registry, CacheRegistry) else registry.token is None


def _backend(registry: HostedRegistry) -> list[Directive]:
    """How requests go to a hosted registry."""
    trusted = nginx_tls.backend(registry.tls.name, _authority_path(registry)) if registry.tls else ()
    return [*trusted, nginx_replicas.passed(registry)]


def _store(registry: HostedRegistry) -> list[Directive]:
    """How those for a blob's bytes do, where the registry sends them on to a store."""
    through = f"http://{nginx_mirror.ORIGIN}/{registry.name}$request_uri"
    return [directive("proxy_pass", through)] if registry.storage.s3 else []


def _limits(limits: Limits) -> Iterable[Directive]:
    """What is counted by client; an empty key is not counted."""
    yield block(
        "map",
        "$http_registry_client",
        "$http_registry_counted",
        body=[directive("default", "$binary_remote_addr"), directive("itself", "")],
    )
    if limits.requests_per_second:
        rate = f"rate={limits.requests_per_second}r/s"
        yield directive("limit_req_zone", "$http_registry_counted", "zone=http-registry-requests:10m", rate)
    if limits.connections:
        yield directive("limit_conn_zone", "$http_registry_counted", "zone=http-registry-connections:10m")


def _limited(limits: Limits) -> Iterable[Directive]:
    if limits.requests_per_second:
        burst = f"burst={10 * limits.requests_per_second}"
        yield directive("limit_req", "zone=http-registry-requests", burst, "nodelay")
        yield directive("limit_req_status", 429)
    if limits.connections:
        yield directive("limit_conn", "http-registry-connections", limits.connections)
        yield directive("limit_conn_status", 429)


def _log_format() -> Directive:
    fields = ",".join(f'"{name}":"{variable}"' for name, variable in LOG_FIELDS.items())
    return directive("log_format", "http-registry", "escape=json", f"{{{fields}}}")


def _clients(tier: Tier) -> Iterable[Directive]:
    """Who asks: `itself` is this host, which comes to an address of its own from that address; empty is a stranger."""
    yield block(
        "geo",
        "$http_registry_listed",
        body=[directive("default", "stranger"), *(directive(each, "listed") for each in _listed(tier))],
    )
    yield block(
        "map",
        "$remote_addr $server_addr",
        "$http_registry_client",
        body=[directive("default", "$http_registry_listed"), directive(r"~^(\S+) \1$", "itself")],
    )


def _listed(tier: Tier) -> Iterable[str]:
    """The allowlist, loopback, the other proxy, and those of the host's own addresses that the settings tell.

    The last two since the host comes to 127.0.1.1 from 127.0.0.1, and to a second IPv4 address from its first one.
    """
    assert tier.proxy is not None
    names = [
        *(tier.host(each).address for each in tier.proxy.hosts),
        *(each.server_name for each in tier.proxy.endpoints),
    ]
    networks = [*tier.firewall_networks(tier.proxy.ports), LOOPBACK, *filter(is_ip_address, names)]
    return dict.fromkeys(str(half) for each in networks for half in _halves(ipaddress.ip_network(each)))


def _halves(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Iterable[object]:
    """The network; in halves where it is everything, which would be the default a second time."""
    return [network] if network.prefixlen else network.subnets()


def _plain_paths(page: Endpoint | None, tier: Tier) -> Directive:
    """nginx picks the location by the decoded path but passes the raw one on: only paths where both are the same.

    1 for those of every endpoint, another value for those that `page` has besides.
    """
    segments = f"({PATH_SEGMENT}/)*({PATH_SEGMENT})?"
    status = [directive(nginx_status.PLAIN_PATH, "status")] if page else []
    own = [*([ALIVE] if floats(tier) else []), *dict.fromkeys(nginx_gate.paths(tier))]
    plain = [directive(each, 1) for each in (MARKER, *own)]
    paths = [directive("default", 0), *plain, directive(f"~^/v2/{segments}([?]|$)", 1), *status]
    return block("map", "$request_uri", "$http_registry_plain_path", body=paths)


def _server_name(name: str) -> str:
    """An IPv6 address stands in brackets in the Host header."""
    return f"[{name}]" if ":" in name else name


def _server(tier: Tier, endpoint: Endpoint, generation: str, locations: Sequence[Directive]) -> Directive:
    assert tier.proxy is not None
    page = nginx_status.endpoint(tier)
    other_paths = ("!=", "1)") if page and page != endpoint else ("=", "0)")
    return block(
        "server",
        body=[
            directive("listen", endpoint.port, *(["ssl"] if endpoint.tls else [])),
            directive("include", f"{OURS}/listen-{endpoint.port}/*.conf"),
            directive("server_name", _server_name(endpoint.server_name)),
            directive("server_tokens", "off"),
            directive("access_log", ACCESS_LOG, "http-registry"),
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
            *_limited(tier.proxy.limits),
            *passing(),
            *hidden(),
            _version(),
            *error_pages(),
            block("if", "($http_registry_client", "=", "stranger)", body=[directive("return", 403)]),
            block("if", "($http_registry_plain_path", *other_paths, body=[directive("return", 404)]),
            _marker(generation),
            *_alive(tier, endpoint),
            *locations,
            *error_locations(),
        ],
    )


def _kept_open() -> Sequence[Directive]:
    """To open what is kept, and the verdicts on who may have it, is a third of what a small answer costs.

    nginx knows when another worker has written a file of a cache anew, and opens it again.
    """
    return (
        directive("open_file_cache", f"max={OPEN_FILES // 4}", "inactive=20s"),
        # A registry that has been cleaned up may seem closed for as long: pushers come again no sooner.
        directive("open_file_cache_valid", f"{nginx_hosted.RETRY_AFTER}s"),
    )


def _version() -> Directive:
    return directive("add_header", API_VERSION, "registry/2.0", "always")


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
        found = [directive("rewrite", "^", "/", "break"), *headers(), *limits, *_backend(registry)]
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
