"""What the hosts that serve are asked, and which findings of clients end with a finding there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from doctor.pull import Image
from documents import nginx_tls
from documents.nginx_site import CACHES, uses_origin
from ops.doctor import firewall
from ops.doctor.found import Found
from settings.registries import CacheRegistry, HostedRegistry, Registry
from settings.standby import views
from settings.tier import OWN_PORTS, Tier


def served(tier: Tier, host: str, image: Image | None = None, only: str = "") -> dict[str, Any] | None:
    """What of the tier this host serves, for `doctor.server.look`; None where it serves nothing.

    `image`: what is being pulled, for the cache that has it. `only`: the one client that is asked about.
    """
    tier = next((view for view in views(tier) if view.proxy and view.proxy.host == host), tier)
    there = [each for each in tier.registries if each.host == host]
    with_nginx = tier.proxy is not None and tier.proxy.host == host
    if not there and not with_nginx:
        return None
    return {
        "endpoints": list(_endpoints(tier, host)),
        "containers": [found for each in there for found in _containers(tier, each)],
        "caches": [_cache(tier, each, image) for each in there if isinstance(each, CacheRegistry) and each.upstream],
        "stores": [
            {"registry": each.name, "url": each.storage.s3.server}
            for each in there
            if isinstance(each, HostedRegistry) and each.storage.s3
        ],
        "folders": [CACHES] if with_nginx else [],
        "clients": firewall.clients(tier, host, only),
    }


def _endpoints(tier: Tier, host: str) -> Iterator[dict[str, Any]]:
    for each in tier.proxy.endpoints if tier.proxy and tier.proxy.host == host else ():
        registry = tier.registry(each.registry)
        asks = each.login if isinstance(registry, CacheRegistry) else registry.token is None
        file = nginx_tls.certificate_path(each.tls.key_name(each.registry)) if each.tls else ""
        yield {
            "registry": each.registry,
            "name": each.server_name,
            "port": each.port,
            "passwords": asks,
            "certificate": file,
            "nginx": True,
        }
    for direct in tier.registries:
        if direct.host == host and not tier.behind_proxy(direct):
            yield {
                "registry": direct.name,
                "name": tier.host(host).address,
                "port": direct.port,
                "passwords": False,
                "certificate": "",
                "nginx": False,
            }


def _containers(tier: Tier, registry: Registry) -> Iterator[dict[str, Any]]:
    """Behind the proxy a cache is nginx's own and has none."""
    if isinstance(registry, CacheRegistry) and tier.behind_proxy(registry):
        return
    for index, port in enumerate(registry.ports, start=1):
        number = "" if index == 1 else f"-{index}"
        yield {
            "name": f"http-registry-{registry.name}{number}",
            "registry": registry.name,
            "url": f"{registry.scheme}://127.0.0.1:{port}",
        }


def _cache(tier: Tier, cache: CacheRegistry, image: Image | None) -> dict[str, Any]:
    wanted = image is not None and image.registry == cache.serves and image.repository
    return {
        "registry": cache.name,
        "upstream": cache.upstream,
        "user": cache.upstream_user or "",
        "origin": tier.behind_proxy(cache) and tier.proxy is not None and uses_origin(tier),
        "ask": f"{image.repository}/manifests/{image.reference}" if image and wanted else "",
    }


def folded(tier: Tier, found: Sequence[Found]) -> list[Found]:
    """One finding a reason: what a server's finding explains (`Cause.explains`) becomes its consequence."""
    reasons = [each for each in found if each.area == "server"]
    because: dict[int, list[Found]] = {}
    told = []
    for each in found:
        by = next((number for number, reason in enumerate(reasons) if explains(tier, reason, each)), None)
        if by is not None:
            because.setdefault(by, []).extend((each, *each.consequences))
        else:
            told.append(each)
    ends = {id(reasons[number]): tuple(consequences) for number, consequences in because.items()}
    return [
        replace(each, consequences=(*each.consequences, *ends[id(each)])) if id(each) in ends else each for each in told
    ]


def explains(tier: Tier, reason: Found, other: Found) -> bool:
    """Whether `other` is seen because of what a server has: at the endpoints that it names, by the clients."""
    if other is reason or other.finding.cause not in reason.cause.explains:
        return False
    if other.area == "runtime":
        return other.host == reason.host
    hosts = reason.finding.values.get("hosts")
    return (hosts is None or other.host in hosts.split()) and _at(tier, reason, other)


def _at(tier: Tier, reason: Found, other: Found) -> bool:
    """Whether a finding is about an endpoint that a server's finding names."""
    values = reason.finding.values
    text = " ".join([other.finding.where, other.finding.evidence, *other.finding.values.values()])
    places = [each.rpartition(":") for each in values.get("endpoints", "").split()]
    address = tier.host(reason.host).address
    return any(_names(text, each, int(port)) for name, _, port in places for each in {name, address})


def _names(text: str, name: str, port: int) -> bool:
    """Whether a text names a place, in a URL or by itself; a scheme's own port may be left out."""
    host = rf"(?<![\w.-])\[?{re.escape(name)}\]?"
    left_out = r"(?![\w.:-])" if port in OWN_PORTS.values() else rf":{port}(?!\d)"
    return re.search(rf"{host}(:{port}(?!\d)|{left_out})", text) is not None
