"""What is wrong between settings: names that are there twice, names that nothing has, ports that collide.

Works on the raw data, so that these errors are listed together with those of single values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from settings.tier import CacheRegistry, Host, HostedRegistry
from settings.values import Settings

Item = tuple[str, Mapping[str, Any]]


def contradictions(data: Mapping[str, Any]) -> list[str]:
    """A line for each contradiction: key path, value, rule and remedy. Malformed parts are skipped."""
    hosts = list(_items(data, "hosts"))
    registries = list(_items(data, "registries"))
    runtimes = list(_items(data, "runtimes"))
    raw_proxy = data.get("proxy")
    proxy: Mapping[str, Any] = raw_proxy if isinstance(raw_proxy, Mapping) else {}
    endpoints = list(_items(proxy, "endpoints", "proxy."))
    users = list(_items(proxy, "users", "proxy."))
    proxy_item: list[Item] = [("proxy", proxy)] if proxy else []
    return [
        *_twice(hosts, "name", "host names must differ"),
        *_twice(hosts, "address", "a machine is one host, so addresses must differ"),
        *_twice(registries, "name", "registry names must differ"),
        *_twice(users, "name", "user names must differ"),
        *_twice(runtimes, "host", "a host's runtimes belong in one entry"),
        *_twice(endpoints, "registry", "a registry has one endpoint"),
        *_twice(registries, "serves", "a registry name is served by one cache"),
        *_unknown(registries, "host", _names(hosts), "hosts"),
        *_unknown(runtimes, "host", _names(hosts), "hosts"),
        *_unknown(proxy_item, "host", _names(hosts), "hosts"),
        *_unknown(endpoints, "registry", _names(registries), "registries"),
        *_elsewhere(endpoints, registries, proxy.get("host")),
        *_nobody(endpoints, registries, users),
        *_port_clashes(registries, endpoints, proxy.get("host")),
        *_sshd_clashes(hosts, registries, endpoints, proxy.get("host")),
        *_no_runtime(data),
    ]


def needed_secrets(data: Mapping[str, Any]) -> list[str]:
    """The secret keys that go with the settings."""
    proxy = data.get("proxy")
    users = _items(proxy, "users") if isinstance(proxy, Mapping) else []
    upstreams = [item for _, item in _items(data, "registries") if item.get("upstream_user")]
    return [
        *(f"password-{user['name']}" for _, user in users if isinstance(user.get("name"), str)),
        *(f"upstream-password-{each['name']}" for each in upstreams if isinstance(each.get("name"), str)),
    ]


def _items(data: Mapping[str, Any], key: str, prefix: str = "") -> Iterator[Item]:
    """The objects of a list by their path, each with what in it is text or a number."""
    value = data.get(key)
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, Mapping):
                yield (
                    f"{prefix}{key}.{index}",
                    {name: each for name, each in item.items() if isinstance(each, str | int)},
                )


def _names(items: list[Item]) -> list[str]:
    return [item["name"] for _, item in items if isinstance(item.get("name"), str)]


def _twice(items: list[Item], key: str, rule: str) -> Iterator[str]:
    first: dict[str, str] = {}
    for path, item in items:
        value = item.get(key)
        if not isinstance(value, str):
            continue
        if value in first:
            yield f"{path}.{key} = {value!r}: {rule}; {first[value]}.{key} is the same, change one of them"
        first.setdefault(value, path)


def _unknown(items: list[Item], key: str, known: list[str], where: str) -> Iterator[str]:
    for path, item in items:
        value = item.get(key)
        if isinstance(value, str) and value not in known:
            yield f"{path}.{key} = {value!r}: must be a name from {where} ({', '.join(known) or 'none there'})"


def _elsewhere(endpoints: list[Item], registries: list[Item], proxy_host: object) -> Iterator[str]:
    """A registry behind the proxy is published on loopback, so it must be on the proxy's host."""
    hosts = {item.get("name"): item.get("host") for _, item in registries}
    for path, endpoint in endpoints:
        host = hosts.get(endpoint.get("registry"))
        if isinstance(host, str) and isinstance(proxy_host, str) and host != proxy_host:
            yield (
                f"{path}.registry = {endpoint['registry']!r}: must be on the proxy's host {proxy_host!r}, "
                f"but is on {host!r}; move one of them"
            )


def _nobody(endpoints: list[Item], registries: list[Item], users: list[Item]) -> Iterator[str]:
    kinds = {item.get("name"): item.get("kind") for _, item in registries}
    for path, endpoint in endpoints:
        if kinds.get(endpoint.get("registry")) == "hosted" and not users:
            yield (
                f"{path}.registry = {endpoint['registry']!r}: a hosted registry's endpoint needs someone "
                "who may use it; add proxy.users"
            )


def _port_clashes(registries: list[Item], endpoints: list[Item], proxy_host: object) -> Iterator[str]:
    taken: dict[tuple[object, object], str] = {}
    claims = [(path, item.get("host"), _port(item)) for path, item in registries]
    claims += [(path, proxy_host, (item.get("port"), item.get("server_name"))) for path, item in endpoints]
    registry_ports = {(host, port) for _, host, port in claims[: len(registries)]}
    for path, host, port in claims:
        plain = port[0] if isinstance(port, tuple) else port
        clash = taken.get((host, port))
        if clash is None and isinstance(port, tuple) and (host, plain) in registry_ports:
            clash = "a registry"
        if clash is not None and plain is not None:
            yield f"{path}.port = {plain!r}: already taken on host {host!r} by {clash}; choose another"
        taken.setdefault((host, port), path)


def _port(registry: Mapping[str, Any]) -> object:
    kinds: dict[str, type[Settings]] = {"hosted": HostedRegistry, "cache": CacheRegistry}
    kind = kinds.get(str(registry.get("kind")))
    return registry.get("port", kind.model_fields["port"].default if kind else None)


def _sshd_clashes(
    hosts: list[Item], registries: list[Item], endpoints: list[Item], proxy_host: object
) -> Iterator[str]:
    sshd = {item.get("name"): item.get("ssh_port", Host.model_fields["ssh_port"].default) for _, item in hosts}
    claims = [(path, item.get("host"), _port(item)) for path, item in registries]
    claims += [(path, proxy_host, item.get("port")) for path, item in endpoints]
    for path, host, port in claims:
        if port is not None and sshd.get(host) == port:
            yield f"{path}.port = {port!r}: is sshd's on host {host!r} (hosts.*.ssh_port); choose another"


def _no_runtime(data: Mapping[str, Any]) -> Iterator[str]:
    runtimes = data.get("runtimes")
    for index, item in enumerate(runtimes if isinstance(runtimes, list) else []):
        if isinstance(item, Mapping) and "docker" not in item and "containerd" not in item:
            yield f"runtimes.{index}: must name a runtime; add docker: {{}} or containerd: {{}}"
