"""A Prometheus of ours: its configuration, its rules, its systemd unit.

https://prometheus.io/docs/prometheus/2.42/configuration/configuration/ (Debian 12 has 2.42).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from documents import prometheus_rules
from documents.document import HEADER_LINE, Document
from documents.sandbox import SANDBOX
from hostctl.units.containerd_mirrors import METRICS_PATH
from hostctl.units.prometheus import CONFIG, PROGRAM, READY, RULES, SERVICE, SERVICE_FILE
from settings.metrics import Prometheus
from settings.tier import Tier, bracketed

__all__ = ["READY", "Rendered", "render"]

SCRAPED = "15s"
JOB = "http-registry"


@dataclass(frozen=True)
class Rendered:
    """The files and the port that answers on 127.0.0.1."""

    files: tuple[Document, ...]
    port: int

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit prometheus."""
        return {"files": [each.as_wish() for each in self.files], "port": self.port}

    def shown(self) -> dict[str, str]:
        """Path to text, for people."""
        return {each.path: each.text for each in self.files}


def render(tier: Tier, relayed: dict[str, str]) -> Rendered:
    """Of a tier that has one. `relayed`: what the service on each proxy's host passes on, by path."""
    ours = _wanted(tier)
    config = {
        "global": {"scrape_interval": SCRAPED, "scrape_timeout": "10s", "evaluation_interval": SCRAPED},
        "rule_files": [RULES.rpartition("/")[2]],
        **_alerting(ours),
        "scrape_configs": [_job(tier, path) for path in ("/metrics", *relayed)]
        + _containerds(tier)
        + [{"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{ours.port}"]}]}],
    }
    texts = {
        CONFIG: yaml.safe_dump(config, sort_keys=False),
        RULES: yaml.safe_dump(prometheus_rules.groups(), sort_keys=False, width=1000),
        SERVICE_FILE: _unit(ours),
    }
    return Rendered(tuple(Document(path, HEADER_LINE + text) for path, text in texts.items()), ours.port)


def _wanted(tier: Tier) -> Prometheus:
    assert tier.metrics
    assert tier.metrics.prometheus
    return tier.metrics.prometheus


def _job(tier: Tier, path: str) -> dict[str, Any]:
    """`/node` is the job http-registry-node; `/registry/hosted/1` is http-registry-registry, with labels."""
    assert tier.metrics
    assert tier.proxy
    port = tier.metrics.port
    what = "" if path == "/metrics" else "-" + path.strip("/").replace("/", "-")
    parts = path.split("/")
    labels = {"registry": parts[2]} if parts[1] == "registry" else {}
    return {
        "job_name": f"{JOB}{what}",
        "metrics_path": path,
        "static_configs": [
            {"targets": [_target(tier, host, port)], "labels": {"host": host, **labels}} for host in tier.proxy.hosts
        ],
    }


def _target(tier: Tier, host: str, port: int) -> str:
    """A port of a host, as Prometheus reaches it from where it runs."""
    address = "127.0.0.1" if host == _wanted(tier).host else tier.host(host).address
    return f"{bracketed(address)}:{port}"


def _containerds(tier: Tier) -> list[dict[str, Any]]:
    """containerd's own figures, by host."""
    port = tier.metrics.containerd_port if tier.metrics else None
    hosts = {name: port for name in tier.containerds() if port}
    targets = [{"targets": [_target(tier, name, port)], "labels": {"host": name}} for name, port in hosts.items()]
    job = {"job_name": f"{JOB}-containerd", "metrics_path": METRICS_PATH, "static_configs": targets}
    return [job] if targets else []


def _alerting(ours: Prometheus) -> dict[str, Any]:
    if not ours.alertmanagers:
        return {}
    managers = []
    for each in ours.alertmanagers:
        scheme, _, target = each.partition("://")
        managers.append({"scheme": scheme, "static_configs": [{"targets": [target]}]})
    return {"alerting": {"alertmanagers": managers}}


def _unit(ours: Prometheus) -> str:
    return f"""\
[Unit]
Description=Keeps the figures of pulls and storage (http-registry)
After=network.target

[Service]
ExecStart={PROGRAM} --config.file={CONFIG} --storage.tsdb.path=/var/lib/{SERVICE} \\
    --storage.tsdb.retention.time={ours.keep} --web.listen-address=127.0.0.1:{ours.port} --log.level=warn
ExecReload=kill -HUP $MAINPID
Restart=always
RestartSec=2
TimeoutStopSec=60
MemoryMax=2G
LimitNOFILE=65536
DynamicUser=yes
StateDirectory={SERVICE}
StateDirectoryMode=0700
UMask=0077
CapabilityBoundingSet=
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
{SANDBOX}\
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""
