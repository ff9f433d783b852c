"""The topology of a tier: firewall, registries, proxy, then the runtimes that use them."""

from __future__ import annotations

from typing import Any

import pulumi

from components import (
    FirewallPolicy,
    FloatingAddress,
    Host,
    HttpRegistry,
    NginxAuthProxy,
    PullMetrics,
    RuntimeMirrorConfig,
)
from components.configuration import Loaded
from components.firewall_policy import FirewallPolicyArgs
from components.garbage_collection import GarbageCollection, GarbageCollectionArgs
from components.http_registry import HttpRegistryArgs, RegistryBase
from components.offline_sync import OfflineSync, OfflineSyncArgs
from components.outputs import Documents, outputs_of
from components.prometheus import Prometheus, PrometheusArgs
from components.pull_metrics import PullMetricsArgs
from components.runtime_mirror_config import RuntimeMirrorConfigArgs
from documents import canary, garbage_collection, nginx_gate
from documents.floating_address import floats
from settings.registries import HostedRegistry
from settings.resource_names import of_registry
from settings.standby import views


def declare(loaded: Loaded, opts: pulumi.ResourceOptions | None = None) -> dict[str, pulumi.Input[Any]]:
    """Declare every resource of the tier; returns its outputs. `opts`: of each component, such as a parent."""
    tier = loaded.tier
    documents = Documents()
    hosts = {each.name: Host(each.name, loaded.host_args(each), opts) for each in tier.hosts}

    for name, host in hosts.items():
        if host.documents:
            documents.add(name, host.documents)

    canaries = {registry: each.digest for registry, each in canary.canaries(tier).items()}

    guards: dict[str, list[pulumi.Resource]] = {name: [] for name in hosts}
    for name, host in hosts.items():
        if rules := tier.firewall_rules(name):
            args = FirewallPolicyArgs(host, rules, tier.firewall, tier.host(name).ssh_port)
            policy = FirewallPolicy(f"{name}-firewall", args, opts)
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
                config = RuntimeMirrorConfig(f"{each.host}-runtimes", args, opts, after=[*guard, *after])
                declared[each.host] = [config]
                documents.add(each.host, config.documents)
        return declared

    # A host's own Docker is configured before it runs a registry, so that no reload or restart meets one at work; the
    # mirror that would be proved there is not up yet.
    # Behind the proxy a cache is nginx's own and has no container. With a standby there is each of what is behind the
    # proxy twice: as it looks from the one host and from the other.
    seen = views(tier)
    containers = [
        (view, each)
        for view in seen
        for each in view.registries
        if (isinstance(each, HostedRegistry) or not view.behind_proxy(each))
        and (view is tier or view.behind_proxy(each))
    ]
    registry_hosts = {each.host for view in seen for each in view.registries}
    ready = runtimes(registry_hosts, after=[])
    bases = {
        name: RegistryBase(
            f"{name}-registries", hosts[name], tier.image, loaded.archive, opts, after=ready.get(name, [])
        )
        for name in sorted({each.host for _, each in containers})
    }
    served: list[pulumi.Resource] = []
    proxies: list[NginxAuthProxy] = []
    for view in seen:
        # One host after the other, so that a change finds one of them at work.
        before = list(served)
        for each in [each for its, each in containers if its is view]:
            registry = HttpRegistry(
                of_registry(each.host, each.name),
                HttpRegistryArgs(
                    each,
                    hosts[each.host],
                    bases[each.host],
                    view.behind_proxy(each),
                    view.metrics is not None and view.behind_proxy(each),
                    loaded.registry_files[each.name],
                    loaded.registry_secrets(each),
                ),
                opts,
                after=[*guards[each.host], *before],
            )
            served.append(registry)
            documents.add(each.host, registry.documents)
        if view.proxy:
            proxy = NginxAuthProxy(
                f"{view.proxy.host}-nginx",
                loaded.proxy_args(hosts[view.proxy.host], view),
                opts,
                after=[*guards[view.proxy.host], *served],
            )
            proxies.append(proxy)
            served.append(proxy)
            documents.add(view.proxy.host, proxy.documents)
            if floats(tier):
                name = view.proxy.host
                floating = FloatingAddress(f"{name}-floating-address", hosts[name], tier, opts, after=[proxy])
                served.append(floating)
                documents.add(name, floating.documents)

    for name in sorted(bases):
        if collected := garbage_collection.collected([each for view, each in containers if view is tier], name):
            secrets = {key: value for each in collected for key, value in loaded.registry_secrets(each).items()}
            collection = GarbageCollection(
                f"{name}-garbage-collection",
                GarbageCollectionArgs(
                    hosts[name], collected, loaded.registry_files, secrets, nginx_gate.standbys(tier)
                ),
                opts,
                after=served,
            )
            documents.add(name, collection.documents)

    if sync := tier.offline_sync:
        sync_args = OfflineSyncArgs(hosts[sync.host], tier, loaded.offline_authorities, loaded.offline_passwords())
        offline = OfflineSync(f"{sync.host}-offline-sync", sync_args, opts, after=served)
        documents.add(sync.host, offline.documents)

    if tier.metrics:
        measured: list[pulumi.Resource] = []
        for name, view in [(view.proxy.host, view) for view in seen if view.proxy]:
            metrics_args = PullMetricsArgs(hosts[name], view, loaded.servers, loaded.registry_files)
            metrics = PullMetrics(f"{name}-pull-metrics", metrics_args, opts, after=served)
            measured.append(metrics)
            documents.add(name, metrics.documents)
        if tier.metrics.prometheus:
            name = tier.metrics.prometheus.host
            prometheus = Prometheus(f"{name}-prometheus", PrometheusArgs(hosts[name], tier), opts, after=measured)
            documents.add(name, prometheus.documents)

    pointed = runtimes(set(hosts) - registry_hosts, after=served)
    for proxy in proxies:
        proxy.settle(after=[each for some in (*ready.values(), *pointed.values()) for each in some])
    documents.wait_for(hosts.values())
    return outputs_of(loaded, documents)
