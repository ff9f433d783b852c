"""The nginx site before the registries: who may ask what, and what is answered from the cache.

Hosted registries are not cached: distribution keeps their blobs on the same disk, and a blob or manifest that was
deleted must be gone for the next request (OCI distribution-spec, "Content Management").
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from documents.document import HEADER_LINE, Document
from documents.nginx_locations import hosted, mirror
from documents.nginx_text import Directive, block, directive, text
from hostctl.nginx_conf import MARKER, OURS, SITE
from settings.tier import CacheRegistry, Endpoint, Tier, User

CACHES = "/var/cache/nginx/http-registry"
ACCESS_LOG = "/var/log/nginx/http-registry.access.log"
LOOPBACK = ("127.0.0.0/8", "::1")

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

    `optional`: files for hosts that have a certain ability ("ipv6", "threads"), with that ability's name.
    `generation`: what the marker answers once these files are live. `caches`: folders that nginx fills.
    """

    site: Document
    optional: tuple[tuple[Document, str], ...]
    generation: str
    endpoints: tuple[Endpoint, ...]
    caches: tuple[str, ...]
    users: tuple[User, ...]
    bcrypt_cost: int

    @property
    def documents(self) -> tuple[Document, ...]:
        """Every file, the optional ones included."""
        return self.site, *(each for each, _ in self.optional)

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit nginx-proxy, but for `users`, whose passwords are not known here."""
        return {
            "files": [self.site.as_wish(), *({**each.as_wish(), "needs": needs} for each, needs in self.optional)],
            "generation": self.generation,
            "probes": [{"port": each.port, "host": _server_name(each.server_name)} for each in self.endpoints],
            "bcrypt_cost": self.bcrypt_cost,
            "cache_folders": list(self.caches),
            "logs": [ACCESS_LOG],
        }


def render(tier: Tier) -> NginxSite:
    """The site of a tier that has a proxy."""
    assert tier.proxy is not None
    caches = [each for each in tier.registries if _behind(tier, each.name) and isinstance(each, CacheRegistry)]
    listening = tuple((_listen_ipv6(port), "ipv6") for port in sorted({each.port for each in tier.proxy.endpoints}))
    threads = Document(f"{OURS}/threads/on.conf", HEADER_LINE + text([directive("aio", "threads")]))
    optional = (*listening, (threads, "threads"))
    unmarked = _site(tier, "")
    generation = _digest([unmarked, *(each.text for each, _ in optional)])
    return NginxSite(
        Document(SITE, _site(tier, generation)),
        optional,
        generation,
        tier.proxy.endpoints,
        tuple(f"{CACHES}/{each.name}" for each in caches),
        tier.proxy.users,
        tier.proxy.bcrypt_cost,
    )


def _behind(tier: Tier, registry: str) -> bool:
    return tier.behind_proxy(tier.registry(registry))


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]


def _listen_ipv6(port: int) -> Document:
    """In a file of its own, since nginx does not start with it where the kernel has no IPv6."""
    return Document(f"{OURS}/listen-{port}/ipv6.conf", HEADER_LINE + text([directive("listen", f"[::]:{port}")]))


def _site(tier: Tier, generation: str) -> str:
    assert tier.proxy is not None
    shared = [_log_format(), _loopback(), _plain_paths(), _heads()]
    upstreams, zones, servers = [], [], []
    for endpoint in tier.proxy.endpoints:
        registry = tier.registry(endpoint.registry)
        upstreams.append(_upstream(registry.name, registry.port))
        if isinstance(registry, CacheRegistry):
            zones.append(_zone(registry.name, tier.proxy.cache.size, tier.proxy.cache.unused))
            locations = mirror(registry, tier.proxy.cache.tag_lifetime)
        else:
            locations = hosted(registry, f"{OURS}/pull.htpasswd", f"{OURS}/push.htpasswd")
        servers.append(_server(endpoint, _allowed(tier), generation, locations))
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


def _loopback() -> Directive:
    return block(
        "geo",
        "$http_registry_from_loopback",
        body=[directive("default", 0), *(directive(each, 1) for each in LOOPBACK)],
    )


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


def _upstream(name: str, port: int) -> Directive:
    return block(
        "upstream",
        f"http-registry-{name}",
        body=[directive("server", f"127.0.0.1:{port}"), directive("keepalive", 32)],
    )


def _allowed(tier: Tier) -> list[str]:
    """The allowlist, loopback, and those of the host's own addresses that the settings tell."""
    assert tier.proxy is not None
    names = [tier.host(tier.proxy.host).address, *(each.server_name for each in tier.proxy.endpoints)]
    own = [name for name in dict.fromkeys(names) if _is_address(name)]
    return [*tier.firewall.allow, *LOOPBACK, *own]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _server_name(name: str) -> str:
    """An IPv6 address stands in brackets in the Host header."""
    return f"[{name}]" if ":" in name else name


def _server(endpoint: Endpoint, allowed: Sequence[str], generation: str, locations: Sequence[Directive]) -> Directive:
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
            *(directive("allow", each) for each in allowed),
            directive("deny", "all"),
            *(directive("error_page", *status.split(), f"@{name}") for status, (name, _, _) in ERRORS.items()),
            block("if", "($http_registry_plain_path", "=", "0)", body=[directive("return", 404)]),
            _marker(generation),
            *locations,
            *_error_locations(),
        ],
    )


def _marker(generation: str) -> Directive:
    """`return` runs before allow and deny, so the address is asked for here."""
    return block(
        "location",
        "=",
        MARKER,
        body=[
            directive("access_log", "off"),
            directive("default_type", "text/plain"),
            block("if", "($http_registry_from_loopback", "=", "0)", body=[directive("return", 404)]),
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
