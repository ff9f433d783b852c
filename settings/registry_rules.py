"""What is wrong between a registry's settings, and the secrets that go with them. Works on the raw data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from settings.raw_items import Item, items


def registry_contradictions(data: Mapping[str, Any], behind_proxy: set[object]) -> Iterator[str]:
    """A line for each. `behind_proxy`: the names of the registries that the proxy has endpoints for."""
    for path, item in _hosted(data):
        if item.get("replica_ports") and _s3(item) is None:
            yield (
                f"{path}.replica_ports: each replica would have images of its own; keep them in one bucket "
                "(storage.s3) or leave the replicas out"
            )
        if item.get("garbage_collection") and item.get("name") not in behind_proxy:
            yield (
                f"{path}.garbage_collection: nothing would hold pushes off while it runs; add an endpoint for this "
                "registry (proxy.endpoints)"
            )
        token = item.get("token")
        if isinstance(token, Mapping) and not token.get("certificate") and not token.get("jwks"):
            yield f"{path}.token: must say whose signature counts; add certificate or jwks"
    yield from _collected_twice(data)


def registry_secrets(data: Mapping[str, Any]) -> Iterator[str]:
    """The names of the secrets of hosted registries, as in `HostedRegistry.secrets`."""
    for _, item in _hosted(data):
        name = item.get("name")
        if isinstance(name, str):
            if _s3(item) is not None:
                yield from (f"s3-access-key-{name}", f"s3-secret-key-{name}")
            if item.get("replica_ports") or item.get("http_secret") is True:
                yield f"http-secret-{name}"
            if item.get("tls"):
                yield f"backend-tls-key-{name}"


def replicas(data: Mapping[str, Any]) -> Iterator[Item]:
    """An item for each further container of a registry, with `kind`, `host` and `port`."""
    for path, item in _hosted(data):
        ports = item.get("replica_ports")
        for index, port in enumerate(ports if isinstance(ports, list) else []):
            yield f"{path}.replica_ports.{index}", {"kind": "hosted", "host": item.get("host"), "port": port}


def _hosted(data: Mapping[str, Any]) -> Iterator[Item]:
    return ((path, item) for path, item in items(data, "registries") if item.get("kind") == "hosted")


def _s3(registry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    storage = registry.get("storage")
    s3 = storage.get("s3") if isinstance(storage, Mapping) else None
    return s3 if isinstance(s3, Mapping) else None


def _collected_twice(data: Mapping[str, Any]) -> Iterator[str]:
    """The proxy holds off the pushes to one registry only."""
    first: dict[tuple[object, ...], Item] = {}
    for path, item in _hosted(data):
        s3 = _s3(item)
        if s3 is None:
            continue
        place = tuple(str(s3.get(key, "")) for key in ("endpoint", "bucket", "prefix"))
        other, its = first.setdefault(place, (path, item))
        if other != path and (its.get("garbage_collection") or item.get("garbage_collection")):
            yield (
                f"{path}.storage.s3: {other} has the same bucket and prefix, and one of them collects garbage, which "
                "would remove what is being pushed to the other; give each a prefix of its own"
            )
