"""How requests go on to a registry, and what of its answers is kept: the directives that all endpoints share.

nginx: https://nginx.org/en/docs/http/ngx_http_proxy_module.html, ngx_http_slice_module.html.

A blob is fetched and kept in slices, so that clients which wait for one that somebody else fetches have its first bytes
while it comes. A lock makes that one request a slice for any number of clients.
"""

from __future__ import annotations

from documents.nginx_text import Directive, block, directive

DIGEST = "(?<http_registry_digest>[a-z0-9+._-]+:[0-9a-fA-F]{32,})"
REPOSITORY = r"(?<http_registry_repository>[^:\s]+)"
"""No name has a colon, and so it is looked for from the digest's back, not from the path's end."""
BLOB, MANIFEST = (f"^/v2/{REPOSITORY}/(?<http_registry_kind>{kind})/{DIGEST}$" for kind in ("blobs", "manifests"))
SLICE = "8m"
FOR_GOOD = "365d"
"""What a digest names never changes; how long it stays is the zone's `inactive` and `max_size`."""
SLOWEST_SLICE = "1h"
SLOWEST_MANIFEST = "30s"
TAKEN_OVER = "60s"
"""After this time one of those who wait for a slice fetches it too: the worker that did may have died, and its lock
would stay. On lines below 140 kB/s that is a second fetch for nothing."""
MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
"""What a manifest is asked for by, where the answer must not depend on who asks: nginx before 1.23 knows only the first
of several Accept lines, and dockerd sends one for each type in random order, so no key can tell its clients apart."""
KEEPING = ("X-Accel-Expires", "Cache-Control", "Expires", "Set-Cookie", "Vary")
"""Response headers by which nginx decides whether and how long to keep an answer."""


def blob(zone: str, key: str, token: str = "", *, each_slice_logged: bool = False) -> list[Directive]:
    """A blob, of `zone` or, once for all clients, of the registry behind. `key`: what of it may be shared by whom.

    A HEAD fetches one slice: of a stored GET it is answered as well. `token`: the Authorization that goes on.
    `each_slice_logged`: by a line for each but the first, whose line is the whole answer's.
    """
    return [
        directive("slice", SLICE),
        *([directive("log_subrequest", "on")] if each_slice_logged else []),
        *kept_in(zone),
        directive("proxy_cache_key", f"blob {key} $http_registry_digest $slice_range"),
        directive("proxy_cache_valid", 200, 206, FOR_GOOD),
        directive("proxy_ignore_headers", *KEEPING),
        directive("proxy_force_ranges", "on"),
        *one_fetch(SLOWEST_SLICE, TAKEN_OVER),
        *headers(token),
        directive("proxy_set_header", "Range", "$slice_range"),
        # The slices of one answer are asked for without conditions: the first would be answered, the others not.
        *(directive("proxy_set_header", each, "") for each in CONDITIONS),
    ]


CONDITIONS = ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range")


def manifest(zone: str, key: str, token: str = "") -> list[Directive]:
    """A manifest by its digest or tag; a HEAD is one at the registry too, since Docker Hub counts GETs."""
    return [
        *kept_in(zone),
        directive("proxy_cache_key", f"manifest {key} $request_method"),
        directive("proxy_cache_convert_head", "off"),
        *one_fetch(SLOWEST_MANIFEST),
        *headers(token),
        directive("proxy_set_header", "Accept", MANIFEST_TYPES),
    ]


def kept_in(zone: str) -> list[Directive]:
    """Answers are looked for in `zone`. Of each file there nginx reads so much before it knows what it has."""
    return [directive("proxy_cache", zone), directive("proxy_buffer_size", "8k")]


def by_digest() -> list[Directive]:
    """How long a manifest by its digest is kept."""
    return [directive("proxy_cache_valid", 200, FOR_GOOD), directive("proxy_ignore_headers", *KEEPING)]


def host() -> Directive:
    """Sets `HOST`: nginx's own $host has no port, and registries build Location headers with it."""
    port = directive(r"~(:[0-9]+)$", "$host$1")
    return block("map", "$http_host", HOST, body=[directive("default", "$host"), port])


def one_fetch(slowest: str, taken_over: str = "") -> list[Directive]:
    """One request to the registry for any number of clients that ask for the same; nobody goes by before `slowest`.

    `taken_over`: when one of them asks again; by default as late.
    """
    return [
        directive("proxy_cache_lock", "on"),
        directive("proxy_cache_lock_timeout", slowest),
        directive("proxy_cache_lock_age", taken_over or slowest),
    ]


HOST = "$http_registry_host"
"""The name and port that the client has asked, as far as nginx takes it for a name."""
API_VERSION = "Docker-Distribution-Api-Version"
"""The header that clients know a registry by; nginx sends it, once, also with its own answers."""


def hidden(*more: str) -> list[Directive]:
    """Headers of the registry's that clients don't get."""
    return [directive("proxy_hide_header", each) for each in (API_VERSION, *more)]


def passing() -> list[Directive]:
    """Time limits and buffers on the way to a registry."""
    return [
        directive("proxy_http_version", "1.1"),
        directive("proxy_connect_timeout", "5s"),
        directive("proxy_read_timeout", "15m"),
        directive("proxy_send_timeout", "15m"),
        directive("proxy_buffer_size", "32k"),
        directive("proxy_buffers", 16, "128k"),
    ]


def headers(token: str = "") -> list[Directive]:
    """What the registry learns of a request. distribution builds Location headers of Host and the X-Forwarded ones."""
    return [
        directive("proxy_set_header", "Connection", ""),
        directive("proxy_set_header", "Host", HOST),
        directive("proxy_set_header", "X-Real-IP", "$remote_addr"),
        directive("proxy_set_header", "X-Forwarded-For", "$remote_addr"),
        directive("proxy_set_header", "X-Forwarded-Host", HOST),
        directive("proxy_set_header", "X-Forwarded-Proto", "$scheme"),
        # distribution would believe this one before the others.
        directive("proxy_set_header", "Forwarded", ""),
        directive("proxy_set_header", "Authorization", token),
    ]


def zone(name: str, folder: str, *more: str, keys: str = "10m") -> Directive:
    """A folder of kept answers. `more`: its bounds."""
    return directive("proxy_cache_path", folder, "levels=1:2", f"keys_zone={name}:{keys}", *more, "use_temp_path=off")
