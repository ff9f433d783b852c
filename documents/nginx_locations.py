"""What an endpoint answers: the locations of a mirror and of a hosted registry.

nginx: https://nginx.org/en/docs/http/ngx_http_proxy_module.html. nginx before 1.23 knows only the first of several
Accept lines, and dockerd sends one for each type in random order: no cache key can tell its clients apart. So a mirror
asks for every type, and the answer does not depend on who asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from documents.nginx_text import Directive, block, directive
from settings.registries import CacheRegistry, HostedRegistry, Registry

DIGEST = "(?<http_registry_digest>[a-z0-9+._-]+:[0-9a-fA-F]{32,})"
BLOB, MANIFEST = f"^/v2/.+/blobs/{DIGEST}$", f"^/v2/.+/manifests/{DIGEST}$"
CHECK, CHECKED = "/.http-registry/check", "$http_registry_checked"
"""Where nginx asks a hosted registry whether it has something, and the variable that holds the answer's status."""
CONDITIONS = ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range")
"""Request headers that turn an answer's 200 into another status."""
FOR_GOOD = "365d"
"""What a digest names never changes; how long it stays is the zone's `inactive` and `max_size`."""
SLOWEST_BLOB = "1h"
SLOWEST_MANIFEST = "30s"
MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


def mirror(
    registry: CacheRegistry, tag_lifetime: str, canary: Iterable[Directive], pullers: str | None
) -> Sequence[Directive]:
    """GET and HEAD; blobs and manifests from the cache, also while the registry behind it is down.

    Of anybody, or with a password file `pullers` by Basic auth. `canary`: what this endpoint answers itself.

    No `slice`: distribution's pull-through answers a Range with the whole blob as long as it does not have it.
    """
    # The upstream is in a tag's key: a changed setting may name another one, and its tags are others.
    manifest = [
        *_one_fetch(SLOWEST_MANIFEST),
        directive("proxy_cache_key", f"manifest {registry.upstream} $request_method $uri"),
    ]
    return (
        *_passing(),
        *(_basic_auth(pullers) if pullers else []),
        directive("proxy_set_header", "Accept", MANIFEST_TYPES),
        directive("proxy_cache_use_stale", "error", "timeout", *(f"http_{each}" for each in (429, 500, 502, 503, 504))),
        block("if", "($request_method", "!~", "^(GET|HEAD)$)", body=[directive("return", 405)]),
        *canary,
        _cached(registry, BLOB, FOR_GOOD, *_blob()),
        _cached(registry, MANIFEST, FOR_GOOD, *manifest),
        _cached(registry, "^/v2/.+/manifests/[^/]+$", tag_lifetime, *manifest),
        block("location", "/", body=[_to(registry)]),
    )


def hosted(registry: HostedRegistry, pullers: str, pushers: str) -> Sequence[Directive]:
    """Basic auth: `pullers` may GET and HEAD, `pushers` everything. Uploads stream through, however long they are.

    Blobs and manifests by digest are answered from the cache once Basic auth is passed and the registry has said, for
    this very request, that this repository has them and that the client accepts them: `auth_request` sends a HEAD of
    the same path. It refuses nobody; without a 200 the request passes the cache by and has the registry's own answer.
    """
    any_user = [*_basic_auth(pullers), block("limit_except", "GET", body=_basic_auth(pushers))]
    checked = [
        *any_user,
        directive("auth_request", CHECK),
        directive("auth_request_set", CHECKED, "$status"),
        directive("proxy_cache_bypass", "$http_registry_unsure"),
    ]
    manifest = [
        *_one_fetch(SLOWEST_MANIFEST),
        directive("proxy_cache_key", "manifest $request_method $http_registry_digest"),
    ]
    return (
        *_passing(),
        directive("client_max_body_size", 0),
        directive("client_body_timeout", "15m"),
        directive("proxy_request_buffering", "off"),
        directive("proxy_max_temp_file_size", 0),
        _cached(registry, BLOB, FOR_GOOD, *checked, *_blob()),
        _cached(registry, MANIFEST, FOR_GOOD, *checked, *manifest),
        block("location", "/", body=[*any_user, _to(registry)]),
        *_check(registry),
    )


def _check(registry: HostedRegistry) -> Sequence[Directive]:
    """Status 200 where the registry has what is asked for, else 204: other statuses would end the request."""
    return (
        block(
            "location",
            "=",
            CHECK,
            body=[
                directive("internal"),
                directive("proxy_method", "HEAD"),
                directive("proxy_set_body", ""),
                *_headers(),
                *(directive("proxy_set_header", each, "") for each in CONDITIONS),
                directive("proxy_intercept_errors", "on"),
                directive("error_page", 400, 404, 429, 500, 502, 503, 504, "=204", "@unsure"),
                directive("proxy_pass", f"http://http-registry-{registry.name}$request_uri"),
            ],
        ),
        block("location", "@unsure", body=[directive("return", 204)]),
    )


def _cached(registry: Registry, pattern: str, lifetime: str, *body: Directive) -> Directive:
    return block(
        "location",
        "~",
        pattern,
        body=[
            directive("proxy_cache", f"http-registry-{registry.name}"),
            directive("proxy_cache_valid", 200, lifetime),
            # A HEAD must not fetch a whole blob.
            directive("proxy_cache_convert_head", "off"),
            directive("proxy_ignore_headers", "X-Accel-Expires", "Cache-Control", "Expires", "Set-Cookie", "Vary"),
            *body,
            _to(registry),
        ],
    )


def _blob() -> list[Directive]:
    return [
        *_one_fetch(SLOWEST_BLOB),
        directive("proxy_cache_key", "blob $http_registry_digest"),
        directive("proxy_force_ranges", "on"),
        # It may be answered of a stored GET, but is not stored: that would be an empty blob.
        directive("proxy_no_cache", "$http_registry_head"),
    ]


def _basic_auth(users: str) -> list[Directive]:
    return [directive("auth_basic", "http-registry"), directive("auth_basic_user_file", users)]


def _one_fetch(slowest: str) -> list[Directive]:
    """One request to the registry for any number of clients that ask for the same."""
    return [
        directive("proxy_cache_lock", "on"),
        directive("proxy_cache_lock_timeout", slowest),
        directive("proxy_cache_lock_age", slowest),
    ]


def _to(registry: Registry) -> Directive:
    return directive("proxy_pass", f"http://http-registry-{registry.name}")


def _passing() -> list[Directive]:
    """How a request goes on."""
    return [
        directive("proxy_http_version", "1.1"),
        directive("proxy_connect_timeout", "5s"),
        directive("proxy_read_timeout", "15m"),
        directive("proxy_send_timeout", "15m"),
        directive("proxy_buffer_size", "32k"),
        directive("proxy_buffers", 16, "128k"),
        *_headers(),
        # Once, and on nginx's own answers as well: clients know a registry by it.
        directive("proxy_hide_header", "Docker-Distribution-Api-Version"),
        directive("add_header", "Docker-Distribution-Api-Version", "registry/2.0", "always"),
    ]


def _headers() -> list[Directive]:
    """distribution builds its Location headers of Host and the X-Forwarded headers."""
    return [
        directive("proxy_set_header", "Connection", ""),
        directive("proxy_set_header", "Host", "$http_host"),
        directive("proxy_set_header", "X-Real-IP", "$remote_addr"),
        directive("proxy_set_header", "X-Forwarded-For", "$remote_addr"),
        directive("proxy_set_header", "X-Forwarded-Host", "$http_host"),
        directive("proxy_set_header", "X-Forwarded-Proto", "$scheme"),
        # distribution would believe this one before the others.
        directive("proxy_set_header", "Forwarded", ""),
        directive("proxy_set_header", "Authorization", ""),
    ]
