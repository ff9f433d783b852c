"""The nginx site before the registries: who may ask what, and what is answered from the cache.

Each endpoint has a cache of its own: what one user may pull from a hosted registry is nobody's by way of a mirror. A
blob or manifest that was deleted from a hosted registry must be gone for the next request (OCI distribution-spec,
"Content Management"): its endpoint asks the registry before each answer from the cache.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from documents.canary import canaries
from documents.document import HEADER_LINE, Document
from documents.nginx_locations import CHECKED, hosted, mirror
from documents.nginx_text import Directive, block, directive, text
from hostctl.nginx_conf import MARKER, OURS, PULLERS, PUSHERS, SITE
from settings.proxy import Endpoint, User
from settings.registries import CacheRegistry
from settings.tier import Tier

CACHES = "/var/cache/nginx/http-registry"
ACCESS_LOG = "/var/log/nginx/http-registry.access.log"
LOOPBACK = "127.0.0.0/8"

PATH_SEGMENT = "[A-Za-z0-9_][A-Za-z0-9._:+=~-]*"
"""Names, tags, digests and upload ids of the distribution spec; none starts with a dot or needs an escape."""

ERRORS = {
    "401": ("unauthorized", "UNAUTHORIZED", "log in with a user of this registry that may do this"),
    "403": ("denied", "DENIED", "your address is not in the allowlist of this registry"),
    "404": ("unknown", "NAME_INVALID", "only plain paths below /v2/ are served here, without percent signs and dots"),
    "405": ("unsupported", "UNSUPPORTED", "this is a mirror: it can be pulled from, not pushed to"),
    "502 504": ("unavailable", "UNAVAILABLE", "the registry behind this proxy does not answer"),
}
"""What nginx answers itself, in the registry's JSON form; by status: the location's name, the code, the message."""

LOG_FIELDS = {
    "time": "$time_iso8601",
    "client": "$remote_addr",
    "user": "$remote_user",
    "host": "$host",
    "request": "$request",
    "status": "$status",
    "bytes": "$body_bytes_sent",
    "seconds": "$request_time",
    "cache": "$upstream_cache_status",
    "upstream_status": "$upstream_status",
    "upstream_bytes": "$upstream_bytes_received",
    "upstream_seconds": "$upstream_response_time",
    "agent": "$http_user_agent",
}
"""The access log's fields; no header that holds credentials is among them."""


@dataclass(frozen=True)
class NginxSite:
    """The site's files, and what hostctl must know about them.

    `optional`: files for hosts that have a certain ability ("ipv6", "threads"), with that ability's name. `canaries`:
    the files of the mirrors' canaries. `generation`: what the marker answers once these files are live. `caches`:
    folders that nginx fills.
    """

    site: Document
    optional: tuple[tuple[Document, str], ...]
    canaries: tuple[Document, ...]
    generation: str
    endpoints: tuple[Endpoint, ...]
    caches: tuple[str, ...]
    users: tuple[User, ...]
    bcrypt_cost: int

    @property
    def documents(self) -> tuple[Document, ...]:
        """What a person reads of it, the optional files included."""
        return self.site, *(each for each, _ in self.optional)

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit nginx-proxy, but for `users`, whose passwords are not known here."""
        optional = ({**each.as_wish(), "needs": needs} for each, needs in self.optional)
        return {
            "files": [self.site.as_wish(), *optional, *(each.as_wish() for each in self.canaries)],
            "generation": self.generation,
            "probes": [{"port": each.port, "host": _server_name(each.server_name)} for each in self.endpoints],
            "bcrypt_cost": self.bcrypt_cost,
            "cache_folders": list(self.caches),
            "logs": [ACCESS_LOG],
        }


def render(tier: Tier) -> NginxSite:
    """The site of a tier that has a proxy."""
    assert tier.proxy is not None
    listening = tuple((_listen_ipv6(port), "ipv6") for port in sorted({each.port for each in tier.proxy.endpoints}))
    threads = Document(f"{OURS}/threads/on.conf", HEADER_LINE + text([directive("aio", "threads")]))
    optional = (*listening, (threads, "threads"))
    unmarked = _site(tier, "")
    generation = _digest([unmarked, *(each.text for each, _ in optional)])
    return NginxSite(
        Document(SITE, _site(tier, generation)),
        optional,
        tuple(file for each in canaries(tier).values() for file in each.files),
        generation,
        tier.proxy.endpoints,
        tuple(f"{CACHES}/{each.registry}" for each in tier.proxy.endpoints),
        tier.proxy.users,
        tier.proxy.bcrypt_cost,
    )


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]


def _listen_ipv6(port: int) -> Document:
    """In a file of its own, since nginx does not start with it where the kernel has no IPv6."""
    return Document(f"{OURS}/listen-{port}/ipv6.conf", HEADER_LINE + text([directive("listen", f"[::]:{port}")]))


def _site(tier: Tier, generation: str) -> str:
    assert tier.proxy is not None
    shared = [_log_format(), *_clients(tier), _plain_paths(), _heads(), _unsure()]
    upstreams, zones, servers = [], [], []
    for endpoint in tier.proxy.endpoints:
        registry = tier.registry(endpoint.registry)
        upstreams.append(_upstream(registry.name, registry.port))
        zones.append(_zone(registry.name, tier.proxy.cache.size, tier.proxy.cache.unused))
        if isinstance(registry, CacheRegistry):
            canary = canaries(tier)[registry.serves].locations()
            locations = mirror(registry, tier.proxy.cache.tag_lifetime, canary, PULLERS if endpoint.login else None)
        else:
            locations = hosted(registry, PULLERS, PUSHERS)
        servers.append(_server(endpoint, generation, locations))
    return HEADER_LINE + text([*zones, *shared, *upstreams, *servers])


def _zone(name: str, size: str, unused: str) -> Directive:
    return directive(
        "proxy_cache_path",
        f"{CACHES}/{name}",
        "levels=1:2",
        f"keys_zone=http-registry-{name}:10m",
        f"max_size={size}",
        f"inactive={unused}",
        "use_temp_path=off",
    )


def _log_format() -> Directive:
    fields = ",".join(f'"{name}":"{variable}"' for name, variable in LOG_FIELDS.items())
    return directive("log_format", "http-registry", "escape=json", f"{{{fields}}}")


def _clients(tier: Tier) -> Iterable[Directive]:
    """Who asks: `itself` is this host, which comes to an address of its own from that address; empty is a stranger."""
    yield block("geo", "$http_registry_listed", body=[directive(each, "listed") for each in _listed(tier)])
    yield block(
        "map",
        "$remote_addr $server_addr",
        "$http_registry_client",
        body=[directive("default", "$http_registry_listed"), directive(r"~^(\S+) \1$", "itself")],
    )


def _listed(tier: Tier) -> Iterable[str]:
    """The allowlist, loopback and those of the host's own addresses that the settings tell.

    The last two since the host comes to 127.0.1.1 from 127.0.0.1, and to a second IPv4 address from its first one.
    """
    assert tier.proxy is not None
    names = [tier.host(tier.proxy.host).address, *(each.server_name for each in tier.proxy.endpoints)]
    networks = [*tier.firewall.allow, LOOPBACK, *filter(_is_address, names)]
    return dict.fromkeys(str(ipaddress.ip_network(each)) for each in networks)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _plain_paths() -> Directive:
    """nginx picks the location by the decoded path but passes the raw one on: only paths where both are the same."""
    segments = f"({PATH_SEGMENT}/)*({PATH_SEGMENT})?"
    return block(
        "map",
        "$request_uri",
        "$http_registry_plain_path",
        body=[directive("default", 0), directive(MARKER, 1), directive(f"~^/v2/{segments}([?]|$)", 1)],
    )


def _heads() -> Directive:
    return block("map", "$request_method", "$http_registry_head", body=[directive("default", 0), directive("HEAD", 1)])


def _unsure() -> Directive:
    """Whether the registry has not said that it has what is asked for."""
    return block("map", CHECKED, "$http_registry_unsure", body=[directive("default", 1), directive("200", 0)])


def _upstream(name: str, port: int) -> Directive:
    return block(
        "upstream",
        f"http-registry-{name}",
        body=[directive("server", f"127.0.0.1:{port}"), directive("keepalive", 32)],
    )


def _server_name(name: str) -> str:
    """An IPv6 address stands in brackets in the Host header."""
    return f"[{name}]" if ":" in name else name


def _server(endpoint: Endpoint, generation: str, locations: Sequence[Directive]) -> Directive:
    return block(
        "server",
        body=[
            directive("listen", endpoint.port),
            directive("include", f"{OURS}/listen-{endpoint.port}/*.conf"),
            directive("server_name", _server_name(endpoint.server_name)),
            directive("server_tokens", "off"),
            directive("access_log", ACCESS_LOG, "http-registry"),
            directive("gzip", "off"),
            directive("sendfile", "on"),
            directive("tcp_nopush", "on"),
            directive("include", f"{OURS}/threads/*.conf"),
            directive("send_timeout", "15m"),
            *(directive("error_page", *status.split(), f"@{name}") for status, (name, _, _) in ERRORS.items()),
            block("if", "($http_registry_client", "=", "", ")", body=[directive("return", 403)]),
            block("if", "($http_registry_plain_path", "=", "0)", body=[directive("return", 404)]),
            _marker(generation),
            *locations,
            *_error_locations(),
        ],
    )


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


def _error_locations() -> Iterable[Directive]:
    for status, (name, code, message) in ERRORS.items():
        body = f'{{"errors":[{{"code":"{code}","message":"{message}"}}]}}\n'
        yield block(
            "location",
            f"@{name}",
            body=[directive("default_type", "application/json"), directive("return", status.split()[0], body)],
        )
