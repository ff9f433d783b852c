"""The stack's outputs from its settings (the contract: registry_outputs)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from hostctl.docker_cli_config import Login
from registry_outputs.contract import Outputs, PullCredentials
from settings.certificates import Certificate
from settings.proxy import Endpoint, User
from settings.registries import HostedRegistry
from settings.tier import Tier, base_url, endpoint_url


def render(tier: Tier, authorities: Iterable[Certificate], passwords: Mapping[str, str]) -> Outputs:
    """All outputs. `passwords`: each proxy user's, by the user's name; masks, where only plain outputs are wanted."""
    hosted = [each for each in tier.registries if isinstance(each, HostedRegistry)]
    endpoints = {each.name: _endpoint(tier, each) for each in hosted}
    endpoint = next(iter(endpoints.values()), None)
    prefix = urlsplit(endpoint).netloc if endpoint else None
    user = _puller(tier)
    servers = _asking(tier) if user else []
    login = Login(user.name, passwords[user.name]) if user else None
    return Outputs(
        endpoint=endpoint,
        endpoints=endpoints,
        mirrors=tier.mirrors(),
        pull_prefix=prefix,
        ca_certificate=_signers(tier, authorities) or None,
        pull_credentials=(
            PullCredentials(server=prefix, username=login.user, password=login.password)
            if login and prefix in servers
            else None
        ),
        dockerconfigjson=json.dumps({"auths": {server: {"auth": login.auth} for server in servers if login}}),
        metrics_endpoint=_metrics(tier),
    )


def _metrics(tier: Tier) -> str | None:
    """Where somebody else than the proxy's own host may read them."""
    if not (tier.metrics and tier.proxy and tier.scrapers(tier.proxy.host)):
        return None
    return base_url("http", tier.host(tier.proxy.host).address, tier.metrics.port) + "/metrics"


def _endpoint(tier: Tier, registry: HostedRegistry) -> str:
    """Where every client can push."""
    found = [each for each in _endpoints(tier) if each.registry == registry.name and not each.anonymous_pull]
    return endpoint_url(found[0]) if found else tier.url(registry)


def _puller(tier: Tier) -> User | None:
    users = tier.proxy.users if tier.proxy else ()
    return next((each for each in users if each.role == "pull"), None)


def _asking(tier: Tier) -> list[str]:
    """The servers that ask for the login of a user of the proxy before they let somebody pull."""
    return [urlsplit(endpoint_url(each)).netloc for each in _endpoints(tier) if tier.asks_readers(each)]


def _signers(tier: Tier, authorities: Iterable[Certificate]) -> str:
    urls = [*tier.hosted(), *tier.mirrors().values()]
    servers = {urlsplit(url).netloc for url in urls if url.startswith("https://")}
    return "".join(dict.fromkeys(each.pem for each in authorities if servers & {*each.authority.registries}))


def _endpoints(tier: Tier) -> tuple[Endpoint, ...]:
    return tier.proxy.endpoints if tier.proxy else ()
