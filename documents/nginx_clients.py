"""Who asks, and for which paths: the variables that each server refuses by."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from documents import nginx_gate, nginx_status
from documents.floating_address import floats
from documents.nginx_text import Directive, block, directive
from hostctl.nginx_conf import MARKER
from proxy_alive.__main__ import PATH as ALIVE
from settings.proxy import Endpoint
from settings.tier import Tier
from settings.values import is_ip_address

LOOPBACK = "127.0.0.0/8"

PATH_SEGMENT = "[A-Za-z0-9_][A-Za-z0-9._:+=~-]*"
"""Names, tags, digests and upload ids of the distribution spec; none starts with a dot or needs an escape."""


def clients(tier: Tier) -> Iterable[Directive]:
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


def plain_paths(page: Endpoint | None, tier: Tier) -> Directive:
    """nginx picks the location by the decoded path but passes the raw one on: only paths where both are the same.

    1 for those of every endpoint, another value for those that `page` has besides.
    """
    segments = f"({PATH_SEGMENT}/)*({PATH_SEGMENT})?"
    status = [directive(nginx_status.PLAIN_PATH, "status")] if page else []
    own = [*([ALIVE] if floats(tier) else []), *dict.fromkeys(nginx_gate.paths(tier))]
    plain = [directive(each, 1) for each in (MARKER, *own)]
    paths = [directive("default", 0), *plain, directive(f"~^/v2/{segments}([?]|$)", 1), *status]
    return block("map", "$request_uri", "$http_registry_plain_path", body=paths)
