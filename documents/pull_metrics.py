"""What counts pulls on a proxy's host: its program, its configuration, its systemd units; and a node_exporter.

systemd.exec(5), systemd.service(5). node_exporter: https://github.com/prometheus/node_exporter (1.5).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pull_metrics
from documents import prometheus
from documents.document import HEADER_LINE, Document
from documents.nginx_log import ACCESS_LOG
from documents.nginx_site import CACHES
from documents.sandbox import SANDBOX
from hostctl.unit import HEADER
from hostctl.units.pull_metrics import (
    CONFIG,
    NODE_FILE,
    NODE_PROGRAM,
    PAGE,
    PROGRAM,
    SERVICE,
    SERVICE_FILE,
)
from settings.metrics import debug_port
from settings.registries import CacheRegistry, HostedRegistry
from settings.registry_files import RegistryFiles
from settings.server_certificates import ServerCertificate
from settings.tier import Tier, base_url
from settings.values import seconds

MODULES = sorted(Path(pull_metrics.__file__).parent.glob("*.py"))
NODE_PORT = 9100
"""On 127.0.0.1; the port of the package's own service, which listens everywhere."""
VOLUMES = "/var/lib/docker/volumes"
SIZES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True)
class PullMetrics:
    """`files`: the program, the configuration, the units. `generation`: what the service answers once they are live."""

    files: tuple[Document, ...]
    generation: str
    port: int

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit pull-metrics."""
        return {
            "files": [each.as_wish() for each in self.files],
            "generation": self.generation,
            "port": self.port,
        }

    def shown(self) -> dict[str, str]:
        """Path to text, for people; of the program only its digest."""
        program = [each for each in self.files if each.path.startswith(PROGRAM)]
        others = {each.path: each.text for each in self.files if each not in program}
        return {**others, PROGRAM: f"{len(program)} modules, sha256 {_digest(each.text for each in program)}\n"}


def render(
    tier: Tier,
    stack: str,
    certificates: Mapping[str, ServerCertificate] | None = None,
    files: Mapping[str, RegistryFiles] | None = None,
) -> PullMetrics:
    """Of a tier that has metrics, as it looks from that host. `certificates`: those of endpoints with TLS, by the names
    of their keys. `files`: what the registries name, by their names."""
    assert tier.metrics
    program = [Document(f"{PROGRAM}/{each.name}", HEADER_LINE + each.read_text()) for each in MODULES]
    units = [Document(SERVICE_FILE, HEADER_LINE + SERVICE_UNIT), Document(NODE_FILE, HEADER_LINE + NODE_UNIT)]
    config = _config(tier, stack, certificates or {}, files or {})
    generation = _digest([*(each.text for each in (*program, *units)), json.dumps(config)])
    text = json.dumps({"//": HEADER, "generation": generation, **config}, indent=2) + "\n"
    return PullMetrics((*program, Document(CONFIG, text), *units), generation, tier.metrics.port)


def _config(
    tier: Tier, stack: str, certificates: Mapping[str, ServerCertificate], files: Mapping[str, RegistryFiles]
) -> dict[str, Any]:
    assert tier.metrics
    assert tier.proxy
    endpoints = tier.proxy.endpoints
    behind = [each for each in tier.registries if tier.behind_proxy(each)]
    caches = [each for each in behind if isinstance(each, CacheRegistry)]
    ends = {
        base_url("https", each.server_name, each.port): certificates[each.tls.key_name(each.registry)].ends.timestamp()
        for each in endpoints
        if each.tls
    }
    most = int(tier.proxy.cache.size[:-1]) * SIZES[tier.proxy.cache.size[-1]]
    folders: list[dict[str, Any]] = [
        {"what": "cache", "registry": each.registry, "path": f"{CACHES}/{each.key}", "most": most} for each in endpoints
    ]
    folders += [
        {"what": "volume", "registry": each.name, "path": f"{VOLUMES}/http-registry-{each.name}", "most": 0}
        for each in behind
        if isinstance(each, HostedRegistry) and not each.storage.s3
    ]
    return {
        "stack": stack,
        "listen": _listen(tier.scrapers(tier.proxy.host)),
        "port": tier.metrics.port,
        "log": ACCESS_LOG,
        "quiet": seconds(tier.metrics.pull_ends),
        "endpoints": [
            {"server": _server_name(each.server_name), "port": each.port, "registry": each.registry}
            for each in endpoints
        ],
        "caches": [each.name for each in caches],
        "folders": folders,
        "parts": [*_parts(tier, behind, files)],
        "certificates": ends,
        "relayed": relayed(tier),
        "state": f"/var/lib/{SERVICE}/state.json",
        "page": PAGE,
    }


def _listen(scrapers: list[str]) -> list[str]:
    """Everywhere, where anybody else asks: the firewall stands before it."""
    if not scrapers:
        return ["127.0.0.1"]
    return ["0.0.0.0", *(["::"] if any(":" in each for each in scrapers) else [])]  # noqa: S104


def relayed(tier: Tier) -> dict[str, str]:
    """Metrics of other programs of the proxy's host: their URLs there, by the path at the service's port."""
    own = {
        f"/registry/{each.name}/{number}": f"http://127.0.0.1:{debug_port(port)}/metrics"
        for each in tier.registries
        if isinstance(each, HostedRegistry) and tier.behind_proxy(each)
        for number, port in enumerate(each.ports, start=1)
    }
    return {"/node": f"http://127.0.0.1:{NODE_PORT}/metrics", **own}


def _parts(tier: Tier, behind: Iterable[Any], files: Mapping[str, RegistryFiles]) -> Iterable[dict[str, str]]:
    assert tier.metrics
    assert tier.proxy
    for each in tier.proxy.endpoints:
        # By the plain port only: what is asked is whether nginx answers, and to a TLS port it does so with a 400.
        yield {"kind": "endpoint", "name": f"{each.registry} :{each.port}", "url": f"http://127.0.0.1:{each.port}/v2/"}
    for each in behind:
        known = files.get(each.name, RegistryFiles())
        if isinstance(each, CacheRegistry):
            yield {"kind": "upstream", "name": each.name, "url": f"{each.upstream}/v2/", "ca": known.authority or ""}
            continue
        for number, port in enumerate(each.ports, start=1):
            yield {
                "kind": "registry",
                "name": each.name if len(each.ports) == 1 else f"{each.name} {number}",
                "url": f"{each.scheme}://127.0.0.1:{port}/v2/",
                "ca": known.tls_authority or "",
                "server": each.tls.name if each.tls else "",
            }
    if tier.metrics.prometheus and tier.metrics.prometheus.host == tier.proxy.host:
        url = f"http://127.0.0.1:{tier.metrics.prometheus.port}{prometheus.READY}"
        yield {"kind": "Prometheus", "name": "", "url": url}


def _server_name(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:32]


SERVICE_UNIT = f"""\
[Unit]
Description=Counts pulls in the proxy's access log (http-registry)
After=network.target nginx.service

[Service]
Type=notify
ExecStart=python3 -I -B {PROGRAM} {CONFIG}
Restart=always
RestartSec=1
Nice=5
MemoryMax=512M
TasksMax=64
DynamicUser=yes
StateDirectory={SERVICE}
StateDirectoryMode=0700
RuntimeDirectory={SERVICE}
RuntimeDirectoryMode=0755
UMask=0022
# nginx's log, volumes and caches are others' own.
AmbientCapabilities=CAP_DAC_READ_SEARCH
CapabilityBoundingSet=CAP_DAC_READ_SEARCH
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
{SANDBOX}\
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged

[Install]
WantedBy=multi-user.target
"""

NODE_UNIT = f"""\
[Unit]
Description=Tells what this machine's disks, memory and network do (http-registry)

[Service]
ExecStart={NODE_PROGRAM} --web.listen-address=127.0.0.1:{NODE_PORT} --collector.disable-defaults \\
    --collector.cpu --collector.diskstats --collector.filesystem --collector.loadavg --collector.meminfo \\
    --collector.netdev --collector.time --collector.uname
Restart=always
RestartSec=1
MemoryMax=128M
DynamicUser=yes
CapabilityBoundingSet=
# No view of its own of what is mounted, which is what it tells about.
NoNewPrivileges=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""
