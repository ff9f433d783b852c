"""What is wrong between the TLS settings of endpoints: what a port, a key or nginx can have only once.

Works on the raw data, as settings/contradictions.py does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from settings.raw_items import items


def with_tls(proxy: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Each endpoint that has TLS: its path, itself, its `tls`."""
    for path, endpoint in items(proxy, "endpoints", "proxy."):
        if isinstance(endpoint.get("tls"), Mapping):
            yield path, endpoint, endpoint["tls"]


def tls_contradictions(proxy: Mapping[str, Any], taken: Mapping[object, str]) -> list[str]:
    """A line for each contradiction. `taken`: who has the other ports of the proxy's host."""
    return [*_ports(proxy), *_keys(proxy), *_modules(proxy), *_redirects(proxy, taken)]


def tls_secrets(proxy: Mapping[str, Any]) -> list[str]:
    """The secret keys that go with the settings."""
    return list(
        dict.fromkeys(
            f"{'hsm-pin' if tls.get('hsm') else 'tls-key'}-{key}"
            for _, endpoint, tls in with_tls(proxy)
            if isinstance(key := _key(endpoint, tls), str)
        )
    )


def _key(endpoint: Mapping[str, Any], tls: Mapping[str, Any]) -> object:
    return tls.get("key") or endpoint.get("registry")


def _ports(proxy: Mapping[str, Any]) -> Iterator[str]:
    """nginx reads a connection's first bytes before it knows whom they are for."""
    first: dict[object, tuple[str, object]] = {}
    for path, endpoint in items(proxy, "endpoints", "proxy."):
        tls, port = endpoint.get("tls"), _hashable(endpoint.get("port"))
        speaks = tls.get("minimum", "1.2") if isinstance(tls, Mapping) else None
        other, spoken = first.setdefault(port, (path, speaks))
        if port is None or speaks == spoken:
            continue
        if speaks and spoken:
            yield (
                f"{path}.tls.minimum = {speaks!r}: {other} on the same port {port} has {spoken!r}, and a port has one; "
                "make them equal or change one's port"
            )
        else:
            yield f"{path}.port = {port!r}: {other} is there too, and only one of them has tls; change one's port"


def _keys(proxy: Mapping[str, Any]) -> Iterator[str]:
    first: dict[object, tuple[str, object]] = {}
    for path, endpoint, tls in with_tls(proxy):
        key, what = _hashable(_key(endpoint, tls)), (tls.get("certificate"), tls.get("hsm"))
        other, known = first.setdefault(key, (path, what))
        if key is not None and what != known:
            yield (
                f"{path}.tls: {other} has the key {key!r} with another certificate or hsm; give this one a key of its "
                "own (key: NAME), or make them equal"
            )


def _modules(proxy: Mapping[str, Any]) -> Iterator[str]:
    first: tuple[str, object] | None = None
    for path, _, tls in with_tls(proxy):
        hsm = tls.get("hsm")
        if isinstance(hsm, Mapping):
            first = first or (path, hsm.get("module"))
            if hsm.get("module") != first[1]:
                yield (
                    f"{path}.tls.hsm.module = {hsm.get('module')!r}: {first[0]} has {first[1]!r}, and nginx loads one; "
                    "make them equal (p11-kit-proxy.so stands for several)"
                )


def _redirects(proxy: Mapping[str, Any], taken: Mapping[object, str]) -> Iterator[str]:
    ports = {_hashable(endpoint.get("port")): path for path, endpoint in items(proxy, "endpoints", "proxy.")}
    first: dict[object, str] = {}
    for path, endpoint, tls in with_tls(proxy):
        port = _hashable(tls.get("redirect_from"))
        if port is None:
            continue
        if other := ports.get(port) or taken.get(port):
            yield f"{path}.tls.redirect_from = {port!r}: already taken by {other}; choose another"
        other = first.setdefault((port, _hashable(endpoint.get("server_name"))), path)
        if other != path:
            yield (
                f"{path}.tls.redirect_from = {port!r}: sends the same name to {other} already; remove one of the two"
            )


def _hashable(value: object) -> str | int | None:
    return value if isinstance(value, str | int) else None
