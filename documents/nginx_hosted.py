"""The endpoint of a hosted registry: who may ask, and what of it is answered from the cache.

A blob or manifest that was deleted must be gone for the next request (OCI distribution-spec, "Content Management"), and
with token auth nobody may read from the cache what the registry would not give him. So before a cached answer the
registry is asked, by a HEAD of the same path, whether this repository has the digest (and, with token auth, whether the
bearer of this token may have it). Its yes is kept for 30 s at most, for this repository and digest and token; a DELETE
through this endpoint ends it. The check refuses nobody: without a yes the request passes the cache by and has the
registry's own answer.

With Basic auth a yes is remembered besides (nginx_remembered). Not so with token auth: of what is remembered nginx
knows the key's MD5 only, and two keys of one MD5 can be made by who may choose enough of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from documents import nginx_last_answer, nginx_passwords, nginx_remembered, nginx_replicas
from documents.nginx_cache import (
    BLOB,
    HOST,
    MANIFEST,
    MANIFEST_TYPES,
    blob,
    by_digest,
    headers,
    hidden,
    kept_in,
    manifest,
    zone,
)
from documents.nginx_errors import answer
from documents.nginx_inner import definite_or_silent, fresh, inner, question, then
from documents.nginx_remembered import remembered
from documents.nginx_text import Directive, block, directive, is_by_path
from hostctl.nginx_conf import RUN
from hostctl.replicas import mark
from hostctl.units.garbage_collection import gate
from settings.proxy import Cache, Endpoint
from settings.registries import HostedRegistry
from settings.values import seconds

CHECK, CHECKED = "/.http-registry/check", "$http_registry_checked"
"""Where nginx asks for a verdict, and the variable that holds it."""
FORGET = "$http_registry_forget"
"""Whether this request ends a verdict."""
UNSURE = (400, 401, 403, 404, 410, 429, 500, 502, 503, 504)
"""Statuses that are no yes."""
UPLOADS = "^/v2/.+/blobs/uploads/$"
VERDICT_SECONDS = 30
RETRY_AFTER = 5
"""Seconds after which somebody who pushes to a registry that is being cleaned up may try again."""


def verdicts(endpoint: Endpoint) -> str:
    """The name of the zone, of the upstream and of the socket where an endpoint's verdicts come from."""
    return f"http-registry-{endpoint.key}-verdicts"


def said(endpoint: Endpoint) -> str:
    """The name of the upstream that says what they are, where they are remembered."""
    return f"{verdicts(endpoint)}-said"


def verdicts_folder(endpoint: Endpoint) -> str:
    """Where they are kept."""
    return f"{RUN}/{endpoint.key}-verdicts"


def shared(
    endpoint: Endpoint, registry: HostedRegistry, cache: Cache, backend: Sequence[Directive]
) -> Sequence[Directive]:
    """The zone of the verdicts, on a tmpfs that only nginx's workers can read since its keys may hold tokens; and the
    inner server that says how long a verdict counts. `backend`: how it asks the registry."""
    name = verdicts(endpoint)
    ask = [
        block("if", "($http_forget)", body=[directive("return", 204)]),
        directive("proxy_set_header", "Connection", ""),
        directive("proxy_set_header", "Host", HOST),
        *backend,
    ]
    body = [
        *nginx_replicas.chosen(registry),
        directive("proxy_http_version", "1.1"),
        directive("proxy_connect_timeout", "5s"),
        directive("proxy_read_timeout", nginx_last_answer.PATIENCE),
        directive("proxy_next_upstream", "error"),
        *fresh(VERDICT_SECONDS - (0 if registry.token else nginx_remembered.SECONDS), seconds(cache.verdict_stale)),
        *definite_or_silent(403, 404),
        # Nobody looks at these, but nginx would read them again with each verdict.
        *hidden("Content-Type", "Docker-Content-Digest", "ETag", "X-Content-Type-Options"),
        # Over S3 the registry sends whoever may have a blob to the store.
        directive("error_page", 302, 307, "=200", "@yes"),
        block("location", "@yes", body=[directive("return", 200)]),
        block("location", "/", body=ask),
    ]
    return (
        zone(name, verdicts_folder(endpoint), "max_size=64m", "inactive=10m", keys="8m"),
        *inner(name, f"{endpoint.key}-verdicts", body),
        *([] if registry.token else _said(endpoint)),
    )


def _said(endpoint: Endpoint) -> Sequence[Directive]:
    """The inner server that says what the one before it has heard. It keeps that by the path that it is asked about."""
    ask = [
        *_asking("", "$http_forget"),
        *_kept(endpoint, "$http_path", "$http_forget"),
        directive("error_page", *UNSURE, "=403", "@unsure"),
        directive("proxy_pass", f"http://{verdicts(endpoint)}$http_path"),
    ]
    unsure = block("location", "@unsure", body=[directive("return", 403)])
    return nginx_remembered.saying(said(endpoint), f"{endpoint.key}-said", ask, [unsure])


def locations(
    endpoint: Endpoint,
    registry: HostedRegistry,
    cache: Cache,
    backend: Sequence[Directive],
    store: Sequence[Directive],
    added: Sequence[Directive],
    *,
    each_slice_logged: bool = False,
) -> Sequence[Directive]:
    """`backend`: how requests go to the registry. `store`: how those for a blob's bytes do. `added`: the headers that
    each answer bears. `each_slice_logged`: see nginx_cache.blob."""
    token = "$http_authorization" if registry.token else ""
    password = [] if registry.token else nginx_passwords.required()
    zone_name = f"http-registry-{endpoint.key}"
    checked = [
        directive("auth_request", CHECK),
        directive("auth_request_set", CHECKED, "$status"),
        directive("proxy_cache_bypass", "$http_registry_unsure"),
    ]
    blobs = blob(zone_name, registry.name, token, each_slice_logged=each_slice_logged)
    by = {
        "blob": (BLOB, [*checked, *blobs, *store]),
        "manifest": (
            MANIFEST,
            [*checked, *manifest(zone_name, f"{registry.name} $http_registry_digest", token), *by_digest(), *backend],
        ),
    }
    found: list[Directive] = []
    for name, (pattern, body) in by.items():
        if password:
            # A location has one auth_request; a named one goes through them anew.
            found.append(block("location", "~", pattern, body=[*password, *then(f"@{name}")]))
            found.append(block("location", f"@{name}", body=body))
        else:
            found.append(block("location", "~", pattern, body=body))
    if stale := seconds(cache.verdict_stale):
        found += nginx_last_answer.locations(zone_name, f"{registry.name} {token}", stale, password, token, backend)
    found += _begun(registry, password, token, backend)
    found.append(block("location", "/", body=[*password, *headers(token), *backend]))
    return (
        directive("client_max_body_size", 0),
        directive("client_body_timeout", "15m"),
        directive("proxy_request_buffering", "off"),
        directive("proxy_max_temp_file_size", 0),
        *nginx_replicas.chosen(registry),
        *_held(found, registry),
        *_when_held(added),
        *(nginx_passwords.locations(anonymous_pull=endpoint.anonymous_pull) if password else []),
        *_check(endpoint, token, in_memory=bool(password)),
    )


def _begun(
    registry: HostedRegistry, password: Sequence[Directive], token: str, backend: Sequence[Directive]
) -> Iterable[Directive]:
    """A push that is begun at a container that dies begins at another: nothing has been sent to it yet."""
    if registry.replica_ports:
        again = directive("proxy_next_upstream", "error", "timeout", "non_idempotent")
        yield block("location", "~", UPLOADS, body=[*password, again, *headers(token), *backend])


def _held(locations: Sequence[Directive], registry: HostedRegistry) -> Iterable[Directive]:
    """The same, but that nothing is written while one of `_gates` is closed. Each has that for itself: what stands in
    the server is done anew for each question (`auth_request`)."""
    closed = [block("if", "(-f", f"{each})", body=[directive("return", 503)]) for each in _gates(registry)]
    for each in locations:
        yield block("location", *each.args, body=[*closed, *(each.block or ())]) if is_by_path(each) else each


def _when_held(added: Sequence[Directive]) -> Sequence[Directive]:
    busy = answer("503", "UNAVAILABLE", "the registry takes no pushes for a moment; push again soon")
    return (
        directive("error_page", 503, "@held"),
        block("location", "@held", body=[*added, directive("add_header", "Retry-After", RETRY_AFTER, "always"), *busy]),
    )


def gates(registry: HostedRegistry) -> Iterable[Directive]:
    """Sets the variables by which `locations` looks for the files that keep writing requests out. For others they name
    no regular file, and one that is there: nginx has kept what it knows of it."""
    for variable, file in _gates(registry).items():
        reading = [directive(each, "/") for each in ("GET", "HEAD")]
        yield block("map", "$request_method", variable, body=[directive("default", file), *reading])


def _gates(registry: HostedRegistry) -> Mapping[str, str]:
    """By the variable that names it, each file that is there while something is being removed from the registry
    (hostctl's unit garbage-collection), or while its only container is being replaced (hostctl.replicas)."""
    name = registry.name.replace("-", "_")
    found = {f"$http_registry_gate_{name}": gate(registry.name)}
    return found if registry.replica_ports else {**found, f"$http_registry_away_{name}": mark(registry.name, 1)}


def _check(endpoint: Endpoint, token: str, *, in_memory: bool) -> Sequence[Directive]:
    """Status 200 where the registry has said yes, else 204: other statuses would end the request."""
    what = "$http_registry_repository $http_registry_kind $http_registry_digest"
    if in_memory:
        path = "/v2/$http_registry_repository/$http_registry_kind/$http_registry_digest"
        asked = [
            *remembered(verdicts(endpoint), what),
            directive("proxy_cache_bypass", FORGET),
            # A header is made where one is sent on, the variables of proxy_pass each time.
            directive("proxy_set_header", "Path", path),
            directive("proxy_pass", f"http://{said(endpoint)}/"),
        ]
    else:
        asked = [
            *_kept(endpoint, f"{what} {token}", FORGET),
            directive("proxy_pass", f"http://{verdicts(endpoint)}$request_uri"),
        ]
    unsure = directive("error_page", *UNSURE, "=204", "@unsure")
    return (
        block("location", "=", CHECK, body=[directive("internal"), *_asking(token, FORGET), *asked, unsure]),
        block("location", "@unsure", body=[directive("return", 204)]),
    )


def _asking(token: str, forget: str) -> list[Directive]:
    """How the registry is asked. `forget`: whether it is not to be asked, but to be asked anew next time."""
    return [
        *question("HEAD"),
        *headers(token),
        directive("proxy_set_header", "Accept", MANIFEST_TYPES),
        directive("proxy_set_header", "Forget", forget),
        directive("proxy_cache_convert_head", "off"),
    ]


def _kept(endpoint: Endpoint, key: str, forget: str) -> list[Directive]:
    """Where its answers are kept."""
    return [
        *kept_in(verdicts(endpoint)),
        directive("proxy_cache_key", key),
        directive("proxy_cache_bypass", forget),
        directive("proxy_intercept_errors", "on"),
    ]


def maps() -> Sequence[Directive]:
    """What the locations of all hosted endpoints ask for."""
    return (
        *nginx_last_answer.maps(),
        block("map", CHECKED, "$http_registry_unsure", body=[directive("default", 1), directive("200", 0)]),
        block("map", "$request_method", FORGET, body=[directive("default", ""), directive("DELETE", 1)]),
    )
