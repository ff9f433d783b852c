"""The nginx site before the registries: who may ask what, and what is answered from the cache.

Each endpoint has a cache of its own: what one user may pull from a hosted registry is nobody's by way of a mirror.
Behind the endpoints' servers stand inner ones on sockets, which only nginx's workers reach: see nginx_passwords,
nginx_hosted, nginx_mirror.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from documents import nginx_gate, nginx_hosted, nginx_mirror, nginx_passwords, nginx_replicas, nginx_status, nginx_tls
from documents.canary import canaries
from documents.document import HEADER_LINE, Document
from documents.nginx_cache import host, zone
from documents.nginx_clients import clients, plain_paths
from documents.nginx_limits import counted
from documents.nginx_log import ACCESS_LOG, log_format
from documents.nginx_server import authority_path, passed, redirect, server, server_name, version
from documents.nginx_text import Directive, block, directive, text
from hostctl.nginx_conf import OPEN_FILES, OPENSSL_CONF, OURS, RIGHT, SITE
from hostctl.units.origin import SOCKET as ORIGIN_SOCKET
from settings.certificates import Certificate
from settings.proxy import Endpoint, User
from settings.registries import CacheRegistry, HostedRegistry
from settings.registry_files import RegistryFiles
from settings.server_certificates import ServerCertificate
from settings.tier import Tier

CACHES = "/var/cache/nginx/http-registry"


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
        host = server_name(endpoint.server_name)
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
            yield Document(authority_path(registry), HEADER_LINE + (files[name].tls_authority or ""))


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


def _kept_open() -> Sequence[Directive]:
    """What is kept, and the verdicts that are not remembered, would be opened anew for each answer.

    nginx knows when another worker has written a file of a cache anew, and opens it again.
    """
    return (
        directive("open_file_cache", f"max={OPEN_FILES // 4}", "inactive=20s"),
        # A registry that has been cleaned up may seem closed for as long: pushers come again no sooner.
        directive("open_file_cache_valid", f"{nginx_hosted.RETRY_AFTER}s"),
    )


def _site(tier: Tier, generation: str, certificates: Mapping[str, ServerCertificate]) -> str:
    assert tier.proxy is not None
    proxy = tier.proxy
    behind = {each.registry: tier.registry(each.registry) for each in proxy.endpoints}
    page = nginx_status.endpoint(tier)
    shared = [log_format(), *clients(tier), plain_paths(page, tier), host(), *counted(proxy.limits)]
    if _any_passwords(tier):
        shared += nginx_passwords.shared(proxy.limits)
    if any(isinstance(each, HostedRegistry) for each in behind.values()):
        shared += nginx_hosted.maps()
    if uses_origin(tier):
        service = directive("server", f"unix:{ORIGIN_SOCKET}")
        shared.append(block("upstream", nginx_mirror.ORIGIN, body=[service, directive("keepalive", 32)]))
    hosted = [each for each in behind.values() if isinstance(each, HostedRegistry)]
    for each in hosted:
        shared += [*nginx_replicas.upstreams(each), *nginx_hosted.gates(each)]
    shared += nginx_gate.shared(tier)
    bounds = (f"max_size={proxy.cache.size}", f"inactive={proxy.cache.unused}")
    zones: list[Directive] = []
    servers: list[Directive] = []
    measured = tier.metrics is not None
    for endpoint in proxy.endpoints:
        registry = behind[endpoint.registry]
        added = [version(), *(nginx_tls.hsts(endpoint.tls) if endpoint.tls else ())]
        zones.append(zone(f"http-registry-{endpoint.key}", f"{CACHES}/{endpoint.key}", *bounds))
        if isinstance(registry, CacheRegistry):
            servers += nginx_mirror.shared(endpoint, registry, proxy.cache)
            canary = canaries(tier)[registry.serves]
            locations = nginx_mirror.locations(endpoint, registry, canary, added, each_slice_logged=measured)
        else:
            backend = passed(registry)
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
        servers.append(server(tier, endpoint, generation, certificates, locations))
        servers += redirect(endpoint, generation)
    return HEADER_LINE + text([*zones, *shared, *servers])


def _store(registry: HostedRegistry) -> list[Directive]:
    """How those for a blob's bytes do, where the registry sends them on to a store."""
    through = f"http://{nginx_mirror.ORIGIN}/{registry.name}$request_uri"
    return [directive("proxy_pass", through)] if registry.storage.s3 else []


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
