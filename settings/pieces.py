"""A tier's settings piece by piece, each typed: what is right by itself can be judged beside what is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError

from settings.firewall import Firewall
from settings.metrics import Metrics
from settings.proxy import Endpoint
from settings.registries import HostedRegistry, Image, Registry
from settings.runtimes import Runtime
from settings.tier import Host


@dataclass(frozen=True)
class Pieces:
    """What of `data`, a tier's raw settings, is right; each with its key path. Wrong pieces have errors of their own
    elsewhere and are left out."""

    data: Mapping[str, Any]

    @cached_property
    def image(self) -> Image | None:
        """The registry's own image."""
        image: Image | None = _piece(Image, self.data.get("image"))
        return image

    @cached_property
    def firewall(self) -> Firewall | None:
        """Who reaches the ports."""
        firewall: Firewall | None = _piece(Firewall, self.data.get("firewall"))
        return firewall

    @cached_property
    def metrics(self) -> Metrics | None:
        """What is measured, and for whom."""
        metrics: Metrics | None = _piece(Metrics, self.data.get("metrics"))
        return metrics

    @cached_property
    def hosts(self) -> list[tuple[str, Host]]:
        """The machines."""
        return _list(Host, self.data, "hosts")

    @cached_property
    def registries(self) -> list[tuple[str, Registry]]:
        """The registries."""
        return _list(Registry, self.data, "registries")

    @cached_property
    def runtimes(self) -> list[tuple[str, Runtime]]:
        """The runtimes of the hosts."""
        return _list(Runtime, self.data, "runtimes")

    @cached_property
    def endpoints(self) -> list[tuple[str, Endpoint]]:
        """The proxy's endpoints."""
        proxy = self.data.get("proxy")
        return _list(Endpoint, proxy, "endpoints", "proxy.") if isinstance(proxy, Mapping) else []

    @cached_property
    def reached(self) -> list[tuple[str, Registry]]:
        """The registries that clients reach without the proxy."""
        behind = {each.registry for _, each in self.endpoints}
        return [(path, each) for path, each in self.registries if each.name not in behind]

    @cached_property
    def hosted(self) -> set[str]:
        """The names of the registries to push to."""
        return {each.name for _, each in self.registries if isinstance(each, HostedRegistry)}

    @cached_property
    def ports(self) -> set[int]:
        """The ports that the tier opens, on whichever host."""
        endpoints = [each for _, each in self.endpoints]
        return (
            {port for _, each in self.reached for port in each.ports}
            | {each.port for each in endpoints}
            | {each.tls.redirect_from for each in endpoints if each.tls and each.tls.redirect_from}
            | set(self.firewall.extra_ports if self.firewall else ())
        )


def _list(kind: Any, data: Mapping[str, Any], key: str, prefix: str = "") -> list[tuple[str, Any]]:
    value = data.get(key)
    found = enumerate(value if isinstance(value, list) else [])
    pieces = ((f"{prefix}{key}.{index}", _piece(kind, each)) for index, each in found)
    return [(path, each) for path, each in pieces if each is not None]


def _piece(kind: Any, value: object) -> Any:
    try:
        return _adapter(kind).validate_json(json.dumps(value))
    except ValidationError:
        return None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
