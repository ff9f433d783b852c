"""The components: one a file. They alone import pulumi, and component_package, which hosts them for other programs."""

from components.firewall_policy import FirewallPolicy
from components.floating_address import FloatingAddress
from components.host import Host
from components.http_registry import HttpRegistry
from components.nginx_auth_proxy import NginxAuthProxy
from components.offline_sync import OfflineSync
from components.pull_metrics import PullMetrics
from components.runtime_mirror_config import RuntimeMirrorConfig

__all__ = [
    "FirewallPolicy",
    "FloatingAddress",
    "Host",
    "HttpRegistry",
    "NginxAuthProxy",
    "OfflineSync",
    "PullMetrics",
    "RuntimeMirrorConfig",
]
