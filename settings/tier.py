"""A tier: its hosts, its registries, the proxy before them, the runtimes that use them, the firewall around them."""

from __future__ import annotations

import ipaddress
from collections.abc import Set
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from settings.firewall import Firewall, Rule
from settings.metrics import Metrics
from settings.offline_sync import OfflineSync
from settings.proxy import Endpoint, Proxy
from settings.registries import CacheRegistry, HostedRegistry, Image, Registry
from settings.runtimes import Authority, Runtime
from settings.values import Address, HostKey, Name, Port, Settings, distinct, is_ip_address

TierName = Literal["lab", "dev", "staging", "prod", "core", "edge", "offline"]


class Ssh(Settings):
    """How the controller reaches a host, as root, since every change to a host needs it.

    Authentication is the SSH agent's ($SSH_AUTH_SOCK), to which ops adds the secret `ssh-key`: no key enters the state.
    """

    host: Address | None = None
    """Where sshd answers; the host's `address` if absent."""
    port: Port = 22
    """The port where sshd answers."""
    host_key: HostKey | None = None
    """The host's public key as `ssh-keyscan` prints it, without the name; looked up in `known_hosts` if absent."""


class Host(Settings):
    """A machine of the tier."""

    name: Name
    """What it is called in these settings, and in the names of its resources."""
    was: Name | None = None
    """What it was called at the last `up`, where it gets another name; it can go after the next."""
    address: Address
    """Where other hosts reach its services."""
    ssh: Ssh = Ssh()
    """How the controller reaches it."""
    ssh_port: Port = 22
    """The port of sshd on the host itself, where `ssh.port` is another because something forwards it."""


class Tier(Settings):
    """All settings of one stack."""

    tier: TierName = "dev"
    """What the stack must keep: settings/tier_rules.py."""
    hosts: tuple[Host, ...] = Field(min_length=1)
    """The machines."""
    known_hosts: str | None = None
    """A file in known_hosts format, below the project folder, for hosts without an `ssh.host_key`."""
    image: Image
    """The image that the registries' containers run."""
    registries: tuple[Registry, ...] = Field(min_length=1)
    """The registries: to push to, or caches of one upstream each."""
    proxy: Proxy | None = None
    """Nginx before the registries of one host; clients reach them directly if absent."""
    runtimes: tuple[Runtime, ...] = ()
    """The hosts whose runtimes use these registries."""
    authorities: Annotated[tuple[Authority, ...], AfterValidator(distinct("name"))] = ()
    """Whom the runtimes' hosts trust besides the authorities that they know."""
    firewall: Firewall
    """Who reaches the ports that this tier opens."""
    metrics: Metrics | None = None
    """Figures of pulls and storage, alerts, a status page; off if absent. It needs the proxy."""
    offline_sync: OfflineSync | None = None
    """Bundles of images: made here, or loaded here; off if absent."""
    observe: bool = False
    """Whether `make preview` and `make up` first ask the hosts for what somebody has changed there, as `make drift`
    does."""

    def host(self, name: str) -> Host:
        """The host of that name; the settings guarantee that there is one."""
        return next(host for host in self.hosts if host.name == name)

    def registry(self, name: str) -> Registry:
        """The registry of that name; the settings guarantee that there is one."""
        return next(registry for registry in self.registries if registry.name == name)

    def behind_proxy(self, registry: Registry) -> bool:
        """Whether clients reach the registry through the proxy only."""
        return self.proxy is not None and any(each.registry == registry.name for each in self.proxy.endpoints)

    def asks_readers(self, endpoint: Endpoint) -> bool:
        """Whether whoever pulls at this endpoint of the proxy has to be one of the proxy's users."""
        return asks_readers(endpoint, self.registry(endpoint.registry))

    def url(self, registry: Registry) -> str:
        """Where clients reach the registry: scheme, host and port, the port left out if it is the scheme's own.

        Of several endpoints the first.
        """
        return self.urls(registry)[0]

    def urls(self, registry: Registry) -> list[str]:
        """All the places where they reach it."""
        endpoints = [each for each in (self.proxy.endpoints if self.proxy else ()) if each.registry == registry.name]
        return [endpoint_url(each) for each in endpoints] or [
            base_url(registry.scheme, self.host(registry.host).address, registry.port)
        ]

    def mirrors(self) -> dict[str, str]:
        """The URLs of the caches, and of hosted registries that stand in another's place, by the name of the registry
        that they serve."""
        return {each.serves: self.mirror(each) for each in self.registries if each.serves}

    def mirror(self, registry: Registry) -> str:
        """Where a runtime asks for what the registry serves: where nobody has to log in, if there is such a place."""
        endpoints = self.proxy.endpoints if self.proxy else ()
        found = [each for each in endpoints if each.registry == registry.name and each.anonymous_pull]
        return endpoint_url(found[0]) if found else self.url(registry)

    def hosted(self) -> list[str]:
        """The hosted registries' URLs."""
        return [url for each in self.registries if isinstance(each, HostedRegistry) for url in self.urls(each)]

    def runtimes_users(self) -> list[str]:
        """The proxy's users as whom this tier's own runtimes log in."""
        secrets = {login.secret for runtime in self.runtimes for login in runtime.logins}
        return [each.name for each in (self.proxy.users if self.proxy else ()) if f"password-{each.name}" in secrets]

    def open_ports(self, host: str) -> list[int]:
        """The ports of a host that this tier opens to others."""
        reached = [each for each in self.registries if each.host == host and not self.behind_proxy(each)]
        ports = {port for each in reached for port in each.ports}
        if self.proxy and host in self.proxy.hosts:
            ports |= self.proxy.ports
        if ports:
            ports |= set(self.firewall.extra_ports)
        return sorted(ports)

    def firewall_rules(self, host: str) -> list[Rule]:
        """Who reaches which ports of a host; empty where the tier opens none there."""
        ports = self.open_ports(host)
        rules = [Rule(ports=tuple(ports), allow=self.firewall.allow), *self.firewall.rules] if ports else []
        if self.proxy and host in self.proxy.hosts and self.other_proxies(host):
            rules.append(Rule(ports=tuple(sorted(self.proxy.ports)), allow=self.other_proxies(host)))
        scraped, scrapers = self.metrics_ports(host), self.scrapers(host)
        return [*rules, Rule(ports=tuple(scraped), allow=tuple(scrapers))] if scraped and scrapers else rules

    def metrics_ports(self, host: str) -> list[int]:
        """The ports of a host where figures are told."""
        if self.metrics is None or self.proxy is None:
            return []
        ports = [self.metrics.port] if host in self.proxy.hosts else []
        theirs = self._containerd_port(host)
        return [*ports, theirs] if theirs else ports

    def containerds(self) -> list[str]:
        """The hosts whose containerd is a runtime of this tier."""
        return [each.host for each in self.runtimes if each.containerd]

    def containerd_metrics(self, host: str) -> str:
        """Where containerd of a host tells its own figures, as its configuration has it; empty: not our affair."""
        port = self._containerd_port(host)
        return f"{'' if self.scrapers(host) else '127.0.0.1'}:{port}" if port else ""

    def _containerd_port(self, host: str) -> int | None:
        if self.metrics is None or self.proxy is None or host not in self.containerds():
            return None
        return self.metrics.containerd_port

    def scrapers(self, host: str) -> list[str]:
        """Who reads a host's metrics from elsewhere than that host itself."""
        if self.metrics is None:
            return []
        ours = self.metrics.prometheus
        remote = [self.host(ours.host).address] if ours and ours.host != host else []
        return list(dict.fromkeys([*(str(ipaddress.ip_network(each)) for each in remote), *self.metrics.scrapers]))

    def other_proxies(self, host: str) -> tuple[str, ...]:
        """The other proxy's address as a network, as seen from one: the two ask each other whether pushes are held."""
        others = [self.host(each).address for each in (self.proxy.hosts if self.proxy else ()) if each != host]
        return tuple(str(ipaddress.ip_network(each)) for each in others if is_ip_address(each))

    def firewall_networks(self, ports: Set[int]) -> list[str]:
        """Who reaches one or more of these ports, which the tier opens itself."""
        more = (network for rule in self.firewall.rules if ports & {*rule.ports} for network in rule.allow)
        return [*self.firewall.allow, *more]


def asks_readers(endpoint: Endpoint, registry: Registry) -> bool:
    """Whether whoever pulls at an endpoint before that registry has to be one of the proxy's users."""
    if isinstance(registry, CacheRegistry):
        return endpoint.login
    return registry.token is None and not endpoint.anonymous_pull


OWN_PORTS = {"http": 80, "https": 443}


def server(host: str, port: object, scheme: str = "http") -> str:
    """A server as image references and logins name it: the port left out if it is the scheme's own."""
    return bracketed(host) if port == OWN_PORTS[scheme] else f"{bracketed(host)}:{port}"


def base_url(scheme: str, host: str, port: int) -> str:
    """A URL of scheme, host and port; an IPv6 address gets its brackets, the scheme's own port is left out."""
    return f"{scheme}://{server(host, port, scheme)}"


def endpoint_url(endpoint: Endpoint) -> str:
    """Where clients reach an endpoint of the proxy."""
    return f"{endpoint.scheme}://{endpoint_server(endpoint)}"


def endpoint_server(endpoint: Endpoint) -> str:
    """An endpoint of the proxy as image references and the Host header name it."""
    return server(endpoint.server_name, endpoint.port, endpoint.scheme)


def bracketed(host: str) -> str:
    """A host as it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host
