"""What is wrong between settings: names that are there twice, names that nothing has, ports that collide.

Works on the raw data, so that these errors are listed together with those of single values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from settings.metrics_rules import metrics_contradictions
from settings.offline_sync_rules import offline_contradictions, offline_passwords
from settings.peer_rules import peer_contradictions
from settings.raw_items import Item, items
from settings.registries import CacheRegistry, HostedRegistry
from settings.registry_rules import registry_contradictions, registry_secrets, replicas
from settings.standby_rules import shared_ports, standby_contradictions
from settings.status_page_rules import status_page_contradictions
from settings.tier import Host, server
from settings.tls_rules import tls_contradictions, tls_secrets, with_tls
from settings.values import USER_NAME, Settings


def contradictions(data: Mapping[str, Any]) -> list[str]:
    """A line for each contradiction: key path, value, rule and remedy. Malformed parts are skipped."""
    hosts = list(_items(data, "hosts"))
    registries = list(_items(data, "registries"))
    behind = {item.get("registry") for _, item in _items(_mapping(data, "proxy"), "endpoints")}
    # Behind the proxy a cache is nginx's own, and takes no port.
    containers = [each for each in registries if each[1].get("kind") != "cache" or each[1].get("name") not in behind]
    containers += replicas(data)
    runtimes = list(_items(data, "runtimes"))
    proxy = _mapping(data, "proxy")
    endpoints = list(_items(proxy, "endpoints", "proxy."))
    users = list(_items(proxy, "users", "proxy."))
    proxy_item: list[Item] = [("proxy", proxy)] if proxy else []
    standby, at_standby = shared_ports(data, containers)
    return [
        *_twice(hosts, "name", "host names must differ"),
        *_renamed(hosts),
        *_twice(hosts, "address", "a machine is one host, so addresses must differ"),
        *_twice(registries, "name", "registry names must differ"),
        *_twice(users, "name", "user names must differ"),
        *_twice(runtimes, "host", "a host's runtimes belong in one entry"),
        *_twice(_of_kind(endpoints, registries, "cache"), "registry", "a cache has one endpoint"),
        *_twice(registries, "serves", "a registry name is served by one registry of the tier"),
        *_unknown(registries, "host", _names(hosts), "hosts"),
        *_unknown(runtimes, "host", _names(hosts), "hosts"),
        *_unknown(proxy_item, "host", _names(hosts), "hosts"),
        *_unknown(endpoints, "registry", _names(registries), "registries"),
        *_elsewhere(endpoints, registries, proxy.get("host")),
        *_nobody(data, endpoints, registries, users),
        *_anonymous(data, endpoints, registries),
        *_port_clashes(containers, endpoints, proxy.get("host")),
        *_sshd_clashes(hosts, containers, endpoints, proxy.get("host")),
        *standby_contradictions(data),
        *(_port_clashes(at_standby, endpoints, standby) if standby else ()),
        *(_sshd_clashes(hosts, at_standby, endpoints, standby) if standby else ()),
        *registry_contradictions(data, {item.get("registry") for _, item in endpoints}),
        *_no_runtime(data),
        *_no_login(data, endpoints, registries, {path for path, _, _ in with_tls(proxy)}),
        *tls_contradictions(proxy, _other_ports(hosts, containers, proxy.get("host"))),
        *metrics_contradictions(
            data,
            {item.get("name"): item.get("address") for _, item in hosts},
            [each for each in (proxy.get("host"), standby) if each is not None],
            _taken(hosts, containers, endpoints, proxy.get("host"))
            | (_taken(hosts, at_standby, endpoints, standby) if standby else {}),
        ),
        *status_page_contradictions(data),
        *offline_contradictions(data, _names(hosts), registries, endpoints),
        *peer_contradictions(data),
    ]


def needed_secrets(data: Mapping[str, Any]) -> list[str]:
    """The secret keys that go with the settings."""
    proxy = data.get("proxy")
    users = _items(proxy, "users") if isinstance(proxy, Mapping) else []
    upstreams = [item for _, item in _items(data, "registries") if item.get("upstream_user")]
    logins = [login.get("password", login.get("user")) for _, login in _logins(data)]
    passwords = [*(user.get("name") for _, user in users), *logins, *offline_passwords(data)]
    return [
        *(f"password-{name}" for name in dict.fromkeys(passwords) if USER_NAME.fullmatch(str(name))),
        *(f"upstream-password-{each['name']}" for each in upstreams if isinstance(each.get("name"), str)),
        *(tls_secrets(proxy) if isinstance(proxy, Mapping) else []),
        *registry_secrets(data),
    ]


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def _items(data: Mapping[str, Any], key: str, prefix: str = "") -> Iterator[Item]:
    """The objects of a list by their path, each with what in it is text or a number."""
    for path, item in items(data, key, prefix):
        yield path, {name: each for name, each in item.items() if isinstance(each, str | int)}


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


def _renamed(hosts: list[Item]) -> Iterator[str]:
    """What two hosts claim to be in the state would be lost for one of them."""
    for path, item in hosts:
        if item.get("was") in _names(hosts):
            yield f"{path}.was = {item['was']!r}: is the name of a host here; rename one host at a time, or remove this"
    yield from _twice(hosts, "was", "two hosts can't have been one")


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
                f"{path}.registry = {endpoint.get('registry')!r}: must be on the proxy's host {proxy_host!r}, "
                f"but is on {host!r}; move one of them"
            )


def _of_kind(endpoints: list[Item], registries: list[Item], kind: str) -> list[Item]:
    kinds = {item.get("name"): item.get("kind") for _, item in registries}
    return [(path, each) for path, each in endpoints if kinds.get(each.get("registry")) == kind]


def _with_token(data: Mapping[str, Any]) -> set[Any]:
    """The names of the registries with token auth."""
    whole = data.get("registries")
    found = [each for each in whole if isinstance(each, Mapping)] if isinstance(whole, list) else []
    return {each.get("name") for each in found if isinstance(each.get("token"), Mapping)}


def _nobody(data: Mapping[str, Any], endpoints: list[Item], registries: list[Item], users: list[Item]) -> Iterator[str]:
    hosted, tokens = _of_kind(endpoints, registries, "hosted"), _with_token(data)
    for path, endpoint in endpoints:
        asks = (path, endpoint) in hosted and endpoint.get("registry") not in tokens
        if (asks or endpoint.get("login") is True) and not users:
            which = "a hosted registry's endpoint" if asks else "an endpoint with login"
            yield f"{path}.registry = {endpoint['registry']!r}: {which} needs someone who may use it; add proxy.users"


def _anonymous(data: Mapping[str, Any], endpoints: list[Item], registries: list[Item]) -> Iterator[str]:
    """Endpoints whose own way of asking who somebody is leaves no room for the setting."""
    caches, tokens = _of_kind(endpoints, registries, "cache"), _with_token(data)
    for path, endpoint in endpoints:
        token = endpoint.get("registry") in tokens
        if endpoint.get("anonymous_pull") is True and (token or (path, endpoint) in caches):
            why = "up to the registry's token server" if token else "so at a cache's endpoint unless it has login"
            yield f"{path}.anonymous_pull = True: this is {why}; remove it"


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


def _other_ports(hosts: list[Item], registries: list[Item], host: object) -> dict[object, str]:
    """Who has which port of a host, its endpoints left out."""
    sshd = {
        item.get("ssh_port", Host.model_fields["ssh_port"].default) for _, item in hosts if item.get("name") == host
    }
    return {
        **{port: "sshd (hosts.*.ssh_port)" for port in sshd},
        **{_port(item): path for path, item in registries if item.get("host") == host},
    }


def _taken(
    hosts: list[Item], registries: list[Item], endpoints: list[Item], proxy_host: object
) -> dict[tuple[object, object], str]:
    """Who has which port of which host."""
    taken = {(proxy_host, item.get("port")): path for path, item in endpoints}
    for name in _names(hosts):
        taken |= {(name, port): who for port, who in _other_ports(hosts, registries, name).items()}
    return taken


def _runtimes(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The entries of `runtimes`, whole."""
    runtimes = data.get("runtimes")
    for index, item in enumerate(runtimes if isinstance(runtimes, list) else []):
        if isinstance(item, Mapping):
            yield f"runtimes.{index}", item


def _no_runtime(data: Mapping[str, Any]) -> Iterator[str]:
    for path, item in _runtimes(data):
        if not {"docker", "cli", "containerd", "buildkit"} & set(item):
            yield f"{path}: must name a runtime; add docker: {{}}, containerd: {{}}, buildkit: {{}} or cli: [...]"


def _logins(data: Mapping[str, Any]) -> Iterator[Item]:
    """Every login of a runtime or of a command line."""
    for path, item in _runtimes(data):
        for key in ("docker", "containerd"):
            if isinstance(item.get(key), Mapping):
                yield from _items(item[key], "logins", f"{path}.{key}.")
        lines = item.get("cli")
        for index, line in enumerate(lines if isinstance(lines, list) else []):
            if isinstance(line, Mapping):
                yield from _items(line, "logins", f"{path}.cli.{index}.")


def _no_login(
    data: Mapping[str, Any], endpoints: list[Item], registries: list[Item], with_tls: set[str]
) -> Iterator[str]:
    """A runtime without the login that its mirror asks for would go to the real registry, or nowhere."""
    asking = [
        (server(str(each.get("server_name")), each.get("port"), "https" if path in with_tls else "http"), why)
        for path, each, why in _asking_mirrors(data, endpoints, registries)
    ]
    logins = list(_logins(data))
    for path, item in _runtimes(data):
        for runtime in ("docker", "containerd"):
            known = [login.get("registry") for at, login in logins if at.startswith(f"{path}.{runtime}.")]
            for each, why in asking if runtime in item else []:
                if each not in known:
                    yield (
                        f"{path}.{runtime}.logins: its mirror {each} asks for a login ({why}); add "
                        f"{{registry: {each!r}, user: ...}}"
                    )


def _asking_mirrors(
    data: Mapping[str, Any], endpoints: list[Item], registries: list[Item]
) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """The endpoints where runtimes ask for another registry's images and have to log in, each with the setting."""
    by_name = {item.get("name"): (path, item) for path, item in registries}
    tokens = _with_token(data)
    first: dict[Any, Item] = {}
    for path, each in endpoints:
        _, registry = by_name.get(each.get("registry"), ("", {}))
        if registry.get("kind") == "cache" and each.get("login") is True:
            yield path, each, "proxy.endpoints.*.login"
        # Where there is an endpoint that lets everybody pull, they ask there (Tier.mirror).
        if registry.get("kind") == "hosted" and registry.get("serves") and registry.get("name") not in tokens:
            kept = first.setdefault(registry.get("name"), (path, each))
            if each.get("anonymous_pull") is True and kept[1].get("anonymous_pull") is not True:
                first[registry.get("name")] = (path, each)
    for path, each in first.values():
        if each.get("anonymous_pull") is not True:
            at, _ = by_name[each.get("registry")]
            yield path, each, f"{at}.serves, and no endpoint of it has anonymous_pull"
