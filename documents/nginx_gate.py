"""Two proxies, one garbage collection: what the first host removes from the bucket, nobody may be pushing to at either.

The first proxy says at `path` whether it holds pushes off (403) or not (204). The standby asks there before each push,
and passes the answer on at its own `path`, for the collection to see that the standby heeds it before it removes
anything. Where the first proxy does not answer the standby lets pushes through: then nothing is removed either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from documents.nginx_errors import error_pages
from documents.nginx_inner import question, then
from documents.nginx_text import Directive, block, directive, is_by_path
from hostctl.units.garbage_collection import gate
from settings.proxy import Endpoint
from settings.registries import HostedRegistry
from settings.tier import Tier, bracketed, endpoint_server

HELD = "/.http-registry/held"
"""Where the standby asks itself, before each request."""
PATIENCE = "300ms"
"""How long the first proxy may take: what a push costs for each request while its host is gone."""


def path(registry: str) -> str:
    """Where a proxy says whether it takes pushes to that registry."""
    return f"/.http-registry/gate/{registry}"


def paths(tier: Tier) -> Iterable[str]:
    """All of them; none where there is one proxy."""
    return [path(each.registry) for each in _gated(tier)]


def shared(tier: Tier) -> Iterable[Directive]:
    """At the standby: how it asks the first proxy."""
    assert tier.proxy
    for each in _gated(tier) if tier.proxy.stands_in_for else ():
        first = f"{bracketed(tier.host(tier.proxy.stands_in_for).address)}:{each.port}"
        yield block("upstream", _upstream(each), body=[directive("server", first), directive("keepalive", 4)])


def locations(tier: Tier, endpoint: Endpoint, others: Sequence[Directive]) -> Sequence[Directive]:
    """`others`, the endpoint's own; at the standby each is behind a question to the first proxy."""
    if endpoint not in _gated(tier):
        return others
    say = [directive("access_log", "off")]
    assert tier.proxy
    if not tier.proxy.stands_in_for:
        closed = block("if", "(-f", f"{gate(endpoint.registry)})", body=[directive("return", 403)])
        return (block("location", "=", path(endpoint.registry), body=[*say, closed, directive("return", 204)]), *others)
    asked = [*say, *_asked(endpoint)]
    held = [
        directive("internal"),
        # The client's method, also of this question for it.
        block("if", "($request_method", "~", "^(GET|HEAD)$)", body=[directive("return", 204)]),
        *asked,
        directive("proxy_intercept_errors", "on"),
        directive("error_page", 400, 404, 429, 500, 502, 503, 504, "=204", "@not-held"),
    ]
    return (
        block("location", "=", path(endpoint.registry), body=asked),
        block("location", "=", HELD, body=held),
        block("location", "@not-held", body=[directive("return", 204)]),
        *(stage for number, each in enumerate(others) for stage in _behind(each, f"@asked-{number}")),
    )


def standbys(tier: Tier) -> dict[str, dict[str, object]]:
    """Where the standby is asked, by registry, as garbage_collection.standby.Standby has it."""
    found: dict[str, dict[str, object]] = {}
    for each in _gated(tier):
        assert tier.proxy
        place = {
            "address": tier.host(tier.proxy.hosts[1]).address,
            "port": each.port,
            "host": endpoint_server(each),
            "path": path(each.registry),
            "tls": bool(each.tls),
        }
        found.setdefault(each.registry, place)
    return found


def _gated(tier: Tier) -> list[Endpoint]:
    """The endpoints of registries from which the first host removes what is unused."""
    proxy = tier.proxy
    if proxy is None or proxy.standby is None:
        return []
    found = [(each, tier.registry(each.registry)) for each in proxy.endpoints]
    return [each for each, its in found if isinstance(its, HostedRegistry) and its.garbage_collection]


def _upstream(endpoint: Endpoint) -> str:
    return f"http-registry-{endpoint.key}-first"


def _asked(endpoint: Endpoint) -> Iterable[Directive]:
    yield from (
        *question("GET"),
        directive("proxy_set_header", "Connection", ""),
        directive("proxy_set_header", "Host", endpoint_server(endpoint)),
        directive("proxy_connect_timeout", PATIENCE),
        directive("proxy_read_timeout", PATIENCE),
        directive("proxy_next_upstream", "off"),
    )
    if endpoint.tls:
        yield directive("proxy_ssl_server_name", "on")
        yield directive("proxy_ssl_name", endpoint.server_name)
    yield directive("proxy_pass", f"{endpoint.scheme}://{_upstream(endpoint)}{path(endpoint.registry)}")


def _behind(location: Directive, name: str) -> Iterable[Directive]:
    """A location by path, in two: the question, and what it was."""
    if not is_by_path(location):
        yield location
        return
    question = [
        directive("auth_request", HELD),
        directive("error_page", 403, "=503", "@held"),
        *error_pages(),
        *then(name),
    ]
    yield block("location", *location.args, body=question)
    yield block("location", name, body=location.block or ())
