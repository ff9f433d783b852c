"""Where the lab keeps what it makes."""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCES = Path(__file__).resolve().parent


def lab_dir() -> Path:
    """The machine-wide folder of the running lab: Docker's data, the SSH key, the lab's id."""
    return Path(os.environ.get("HTTP_REGISTRY_LAB_DIR") or "/var/lib/http-registry-lab")


def cache_dir() -> Path:
    """Built binaries and images; every checkout of this user shares them."""
    return Path(os.environ.get("HTTP_REGISTRY_CACHE") or "~/.cache/http-registry").expanduser()


def work_dir() -> Path:
    """This checkout's own folder: SSH key, known_hosts, ssh_config, registry.tar. Not committed."""
    return CHECKOUT / ".work" / "lab"
