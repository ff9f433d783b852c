"""The keys of ours in Docker's daemon.json.

Source: docs.docker.com/reference/cli/dockerd. `registry-mirrors` counts for docker.io only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from settings.tier import Docker

PATH = "/etc/docker/daemon.json"
DOCKER_HUB = "docker.io"


def keys(wanted: Docker, mirrors: Mapping[str, str], hosted: Sequence[str]) -> dict[str, Any]:
    """The wish for hostctl's unit docker-mirrors; hosted registries over HTTP have to be named as insecure."""
    return {
        "registry_mirrors": [mirrors[DOCKER_HUB]] if DOCKER_HUB in mirrors else [],
        "insecure_registries": [urlsplit(url).netloc for url in hosted if url.startswith("http://")],
        "max_concurrent_downloads": wanted.max_concurrent_downloads,
    }


def shown(wish: Mapping[str, Any]) -> str:
    """The keys as they will stand in daemon.json among the keys of others."""
    ours = {key.replace("_", "-"): value for key, value in wish.items() if value}
    return json.dumps(ours, indent=2) + "\n"
