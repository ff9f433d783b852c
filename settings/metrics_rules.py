"""What is wrong between the settings of the metrics and others. Works on the raw data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from settings.metrics import Metrics, Prometheus, debug_port
from settings.values import is_ip_address

Item = tuple[str, Mapping[str, Any]]


def metrics_contradictions(
    data: Mapping[str, Any],
    hosts: Mapping[object, object],
    proxies: Sequence[object],
    taken: Mapping[tuple[object, object], str],
) -> Iterator[str]:
    """A line for each. `hosts`: addresses by name. `proxies`: the hosts of them. `taken`: who has a host's port."""
    metrics = data.get("metrics")
    if not isinstance(metrics, Mapping):
        return
    if not isinstance(data.get("proxy"), Mapping):
        yield "metrics: pulls are counted where the proxy's access log is; add proxy, or remove this"
        return
    ours = metrics.get("prometheus")
    prometheus: Mapping[str, Any] = ours if isinstance(ours, Mapping) else {}
    name = prometheus.get("host")
    others = [each for each in proxies if each != name]
    if isinstance(name, str) and name not in hosts:
        yield f"metrics.prometheus.host = {name!r}: must be a name from hosts ({', '.join(map(str, hosts))})"
    elif isinstance(name, str) and others and not is_ip_address(hosts[name]):
        yield (
            f"metrics.prometheus.host = {name!r}: the firewall of {others[0]!r} lets it in by its address, and "
            f"{hosts[name]!r} is a name; give hosts.*.address as an IP address"
            + (f", or run it on {others[0]!r}" if len(proxies) == 1 else "")
        )
    elif isinstance(name, str) and metrics.get("containerd_port") is not None and not is_ip_address(hosts[name]):
        yield (
            f"metrics.containerd_port = {metrics['containerd_port']!r}: the runtimes' hosts let {name!r} in by its "
            f"address, and {hosts[name]!r} is a name; give hosts.*.address as an IP address, or remove this"
        )
    own_port = metrics.get("port", Metrics.model_fields["port"].default)
    claims: list[tuple[str, object, object]] = [("metrics.port", at, own_port) for at in proxies]
    if isinstance(name, str):
        port = prometheus.get("port", Prometheus.model_fields["port"].default)
        claims.append(("metrics.prometheus.port", name, port))
    runtimes = data.get("runtimes")
    for each in runtimes if isinstance(runtimes, list) else []:
        if isinstance(each, Mapping) and each.get("containerd") is not None:
            claims.append(("metrics.containerd_port", each.get("host"), metrics.get("containerd_port")))
    known = dict(taken)
    for (host, port), path in taken.items():
        if path.startswith("registries.") and isinstance(port, int) and host in proxies:
            own = (host, debug_port(port))
            if own in taken:
                yield (
                    f"{path}.port = {port}: its own metrics are at {own[1]} of host {host!r} (metrics), which "
                    f"{taken[own]} has; choose another"
                )
            known[own] = f"the metrics of {path}"
    for path, host, port in claims:
        if isinstance(port, int):
            if (host, port) in known:
                yield f"{path} = {port}: already taken on host {host!r} by {known[host, port]}; choose another"
            known[host, port] = path
