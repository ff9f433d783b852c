"""The registry's config.yml.

Format: https://distribution.github.io/distribution/about/configuration/ (distribution v3).
"""

from __future__ import annotations

from typing import Any

import yaml

from hostctl.unit import HEADER
from settings.registries import CacheRegistry, Registry

PATH = "/etc/distribution/config.yml"
"""Where the image's command looks for it."""
DATA = "/var/lib/registry"
"""The folder that holds blobs and links; the volume is mounted here."""
CONTAINER_PORT = 5000


def render(registry: Registry, upstream_password: str | None = None) -> str:
    """The configuration of one registry. A cache asks its upstream, and deletes what is older than `keep`."""
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": False}},
        "storage": {
            "filesystem": {"rootdirectory": DATA},
            # A cache's clean-up needs it as much as a hosted registry's garbage collection.
            "delete": {"enabled": True},
        },
        "http": {"addr": f":{CONTAINER_PORT}", "headers": {"X-Content-Type-Options": ["nosniff"]}},
    }
    if isinstance(registry, CacheRegistry):
        config["proxy"] = {"remoteurl": registry.upstream, "ttl": _go_duration(registry.keep)}
        if registry.upstream_user:
            config["proxy"] |= {"username": registry.upstream_user, "password": upstream_password}
    return f"# {HEADER}\n" + yaml.safe_dump(config, sort_keys=False)


def _go_duration(value: str) -> str:
    """Go knows no days; and a number without a unit would be nanoseconds."""
    return f"{int(value[:-1]) * 24}h" if value.endswith("d") else value
