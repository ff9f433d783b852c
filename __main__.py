"""The topology of a tier: firewall, registries, proxy, then the runtimes that use them."""

from pathlib import Path

import pulumi

from components import FirewallPolicy, Host, HttpRegistry, NginxAuthProxy, PullMetrics, RuntimeMirrorConfig
from components.configuration import Loaded, load
from components.firewall_policy import FirewallPolicyArgs
from components.garbage_collection import GarbageCollection, GarbageCollectionArgs
from components.http_registry import HttpRegistryArgs, RegistryBase
from components.nginx_auth_proxy import NginxAuthProxyArgs
from components.offline_sync import OfflineSync, OfflineSyncArgs
from components.outputs import Documents, export
from components.prometheus import Prometheus, PrometheusArgs
from components.pull_metrics import PullMetricsArgs
from components.renamed_hosts import keep_renamed_hosts
from components.runtime_mirror_config import RuntimeMirrorConfigArgs
from documents import canary, garbage_collection
from settings.registries import HostedRegistry
from settings.resource_names import of_registry


def declare(loaded: Loaded) -> None:
    """Declare every resource of the tier."""
    tier = loaded.tier
    keep_renamed_hosts(tier)
    documents = Documents()
    hosts = {each.name: Host(each.name, loaded.host_args(each)) for each in tier.hosts}

    for name, host in hosts.items():
        if host.documents:
            documents.add(name, host.documents)

    canaries = {registry: each.digest for registry, each in canary.canaries(tier).items()}

    guards: dict[str, list[pulumi.Resource]] = {name: [] for name in hosts}
    for name, host in hosts.items():
        if rules := tier.firewall_rules(name):
            args = FirewallPolicyArgs(host, rules, tier.firewall, tier.host(name).ssh_port)
            policy = FirewallPolicy(f"{name}-firewall", args)
            guards[name] = [policy]
            documents.add(name, policy.documents)

    def runtimes(of: set[str], after: list[pulumi.Resource]) -> dict[str, list[pulumi.Resource]]:
        declared: dict[str, list[pulumi.Resource]] = {}
        for each in tier.runtimes:
            if each.host in of:
                args = RuntimeMirrorConfigArgs(
                    hosts[each.host],
                    each,
                    tier.mirrors(),
                    tier.hosted(),
                    loaded.login_passwords(each),
                    loaded.authorities,
                    canaries if each.prove and after else {},
                    tier.containerd_metrics(each.host),
                )
                # Where its own figures are to be read, only by whom the firewall lets in.
                guard = guards[each.host] if args.containerd_metrics else []
                config = RuntimeMirrorConfig(f"{each.host}-runtimes", args, after=[*guard, *after])
                declared[each.host] = [config]
                documents.add(each.host, config.documents)
        return declared

    # A host's own Docker is configured before it runs a registry, so that no reload or restart meets one at work; the
    # mirror that would be proved there is not up yet.
    # Behind the proxy a cache is nginx's own and has no container.
    containers = [each for each in tier.registries if isinstance(each, HostedRegistry) or not tier.behind_proxy(each)]
    registry_hosts = {each.host for each in tier.registries}
    ready = runtimes(registry_hosts, after=[])
    bases = {
        name: RegistryBase(f"{name}-registries", hosts[name], tier.image, loaded.archive, after=ready.get(name, []))
        for name in sorted({each.host for each in containers})
    }
    registries: list[pulumi.Resource] = []
    for each in containers:
        registry = HttpRegistry(
            of_registry(each.host, each.name),
            HttpRegistryArgs(
                each,
                hosts[each.host],
                bases[each.host],
                tier.behind_proxy(each),
                tier.metrics is not None and tier.behind_proxy(each),
                loaded.registry_files[each.name],
                loaded.registry_secrets(each),
            ),
            after=guards[each.host],
        )
        registries.append(registry)
        documents.add(each.host, registry.documents)

    served = list(registries)
    proxy = None
    if tier.proxy:
        proxy = NginxAuthProxy(
            f"{tier.proxy.host}-nginx",
            NginxAuthProxyArgs(
                hosts[tier.proxy.host],
                tier,
                loaded.passwords(),
                loaded.tls_secrets(),
                loaded.servers,
                loaded.registry_files,
                loaded.upstream_passwords(),
                loaded.authorities,
            ),
            after=[*guards[tier.proxy.host], *registries],
        )
        served.append(proxy)
        documents.add(tier.proxy.host, proxy.documents)

    for name in sorted({each.host for each in containers}):
        if collected := garbage_collection.collected(containers, name):
            secrets = {key: value for each in collected for key, value in loaded.registry_secrets(each).items()}
            collection = GarbageCollection(
                f"{name}-garbage-collection",
                GarbageCollectionArgs(hosts[name], collected, loaded.registry_files, secrets),
                after=served,
            )
            documents.add(name, collection.documents)

    if sync := tier.offline_sync:
        sync_args = OfflineSyncArgs(hosts[sync.host], tier, loaded.offline_authorities, loaded.offline_passwords())
        offline = OfflineSync(f"{sync.host}-offline-sync", sync_args, after=served)
        documents.add(sync.host, offline.documents)

    if tier.metrics and tier.proxy:
        metrics_args = PullMetricsArgs(hosts[tier.proxy.host], tier, loaded.servers, loaded.registry_files)
        metrics = PullMetrics(f"{tier.proxy.host}-pull-metrics", metrics_args, after=served)
        documents.add(tier.proxy.host, metrics.documents)
        if tier.metrics.prometheus:
            name = tier.metrics.prometheus.host
            prometheus = Prometheus(f"{name}-prometheus", PrometheusArgs(hosts[name], tier), after=[metrics])
            documents.add(name, prometheus.documents)

    pointed = runtimes(set(hosts) - registry_hosts, after=served)
    if proxy:
        proxy.settle(after=[each for some in (*ready.values(), *pointed.values()) for each in some])
    documents.wait_for(hosts.values())
    export(loaded, documents)


declare(load(Path.cwd()))
