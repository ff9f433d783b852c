"""A mirror's endpoint: GET and HEAD of one upstream, answered from the cache, which is nginx's own.

What the cache lacks comes from the origin service (documents/origin.py), which logs in at the upstream and follows its
redirects. Blobs and manifests by digest are kept for good; a tag for `tag_lifetime`, then it is asked about anew with
If-None-Match, and answered as it was, for `stale`, while the upstream does not answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from documents import nginx_passwords
from documents.canary import Canary
from documents.nginx_cache import BLOB, MANIFEST, blob, by_digest, headers, hidden, manifest
from documents.nginx_inner import definite_or_silent, fresh, inner, then
from documents.nginx_text import Directive, block, directive
from settings.proxy import Cache, Endpoint
from settings.registries import CacheRegistry
from settings.values import seconds

ORIGIN = "http-registry-origin"
"""The upstream block of the origin service."""


def tags(endpoint: Endpoint) -> str:
    """The name of the upstream where an endpoint's tags come from."""
    return f"http-registry-{endpoint.key}-tags"


def shared(endpoint: Endpoint, registry: CacheRegistry, cache: Cache) -> Sequence[Directive]:
    """The inner server that says how long a tag's answer counts."""
    body = [
        directive("proxy_http_version", "1.1"),
        directive("proxy_connect_timeout", "5s"),
        # The origin service waits for a token and an answer, 60 s each, before it gives up.
        directive("proxy_read_timeout", "180s"),
        *fresh(seconds(cache.tag_lifetime), seconds(cache.stale)),
        *definite_or_silent(403, 404),
        block("location", "/", body=[directive("proxy_set_header", "Connection", ""), *origin(registry)]),
    ]
    return inner(tags(endpoint), f"{endpoint.key}-tags", body)


def locations(
    endpoint: Endpoint,
    registry: CacheRegistry,
    canary: Canary,
    added: Sequence[Directive],
    *,
    each_slice_logged: bool = False,
) -> Sequence[Directive]:
    """Of anybody, or with a login by Basic auth.

    `canary`: what this endpoint answers itself, with the headers `added`. `each_slice_logged`: see nginx_cache.blob.
    """
    password = nginx_passwords.required() if endpoint.login else []
    zone_name = f"http-registry-{endpoint.key}"
    # The upstream is in each key: a changed setting may name another one, whose tags and rights are others.
    blobs = blob(zone_name, registry.upstream, each_slice_logged=each_slice_logged)
    manifests = [*manifest(zone_name, f"{registry.upstream} $http_registry_digest"), *by_digest()]
    tag = [
        *manifest(zone_name, f"{registry.upstream} $uri"),
        directive("proxy_cache_revalidate", "on"),
        directive("proxy_intercept_errors", "on"),
        *hidden("Cache-Control"),
        directive("proxy_pass", f"http://{tags(endpoint)}"),
    ]
    pong = [directive("default_type", "application/json"), directive("return", 200, "{}")]
    return (
        block("if", "($request_method", "!~", "^(GET|HEAD)$)", body=[directive("return", 405)]),
        *canary.locations([*password, *added]),
        block("location", "~", BLOB, body=[*password, *blobs, *origin(registry)]),
        block("location", "~", MANIFEST, body=[*password, *manifests, *origin(registry)]),
        block("location", "~", "^/v2/.+/manifests/[^/]+$", body=[*password, *tag]),
        block("location", "=", "/v2/", body=[*password, *then("@ping")]),
        block("location", "@ping", body=pong),
        block("location", "/", body=[*password, *headers(), *origin(registry)]),
        *(nginx_passwords.locations(anonymous_pull=False) if password else []),
    )


def origin(registry: CacheRegistry) -> list[Directive]:
    """How requests go to the upstream."""
    return [directive("proxy_pass", f"http://{ORIGIN}/{registry.name}$request_uri")]
