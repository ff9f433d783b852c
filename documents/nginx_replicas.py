"""A registry's containers behind nginx: which of them get requests while one is being replaced.

hostctl puts a file down while a container is drained (hostctl.replicas); nginx looks for it at each request, so nothing
is reloaded. Of several files the last one counts, so there is always somebody to ask: nginx keeps for some seconds that
a file was there (open_file_cache), never that there was none, and containers are drained in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from documents.nginx_text import Directive, block, directive
from hostctl.replicas import mark
from settings.registries import HostedRegistry

BACKEND = "$http_registry_replicas"
"""The upstream block that this request goes to."""
IDLE = "3s"
"""How long nginx keeps a connection that nobody uses: what is drained is waited for so long at least."""


def upstreams(registry: HostedRegistry) -> Iterable[Directive]:
    """All of its containers; and where there are several, those but one, for each."""
    yield _upstream(_name(registry), registry.ports, several=bool(registry.replica_ports))
    if registry.replica_ports:
        for place, port in enumerate(registry.ports, start=1):
            others = [each for each in registry.ports if each != port]
            yield _upstream(_without(registry, place), others, several=True)


def chosen(registry: HostedRegistry) -> Sequence[Directive]:
    """What a server has before `passed` counts there."""
    if not registry.replica_ports:
        return []
    found = [directive("set", BACKEND, _name(registry))]
    for place, _ in enumerate(registry.ports, start=1):
        others = directive("set", BACKEND, _without(registry, place))
        found.append(block("if", "(-f", f"{mark(registry.name, place)})", body=[others]))
    return found


def passed(registry: HostedRegistry) -> Directive:
    """How a request goes to one of its containers."""
    return directive("proxy_pass", f"{registry.scheme}://{BACKEND if registry.replica_ports else _name(registry)}")


def _name(registry: HostedRegistry) -> str:
    return f"http-registry-{registry.name}"


def _without(registry: HostedRegistry, place: int) -> str:
    return f"{_name(registry)}.without-{place}"


def _upstream(name: str, ports: Sequence[int], *, several: bool) -> Directive:
    # A replica that is down says so at once; one that is avoided for a while is missed when the next one goes.
    always = ["max_fails=0"] if several else []
    servers = [directive("server", f"127.0.0.1:{port}", *always) for port in ports]
    return block("upstream", name, body=[*servers, directive("keepalive", 32), directive("keepalive_timeout", IDLE)])
