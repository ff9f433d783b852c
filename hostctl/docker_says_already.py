"""What somebody's daemon.json says already to a Docker that reads hosts.toml too: then no such file is made of it.

Without a hosts.toml, dockerd asks docker.io's `registry-mirrors` in order and then the registry itself, and speaks HTTP
to what `insecure-registries` names. Sources: moby daemon/hosts.go and daemon/containerd/resolver.go; docs/docker.md for
what was seen running. Pure.
"""

from __future__ import annotations

from typing import Optional

from hostctl import daemon_json, hosts_toml_meaning
from hostctl.daemon_json import INSECURE, MIRRORS
from hostctl.errors import HostError
from hostctl.hosts_toml_meaning import HUB, HUB_SERVER, Asked


def spares(base: Optional[bytes], path: str, wanted: bytes) -> bool:
    """Whether daemon.json without us, `base`, says what a hosts.toml of ours at `path` would."""
    meaning = hosts_toml_meaning.meaning(path, wanted)
    try:
        there = daemon_json.values(base)
    except HostError:
        return False
    if meaning is None:
        return False
    registry = hosts_toml_meaning.registry_of(path)
    if registry == HUB:
        mirrors = [daemon_json.same_item(each) for each in there.get(MIRRORS) or [] if isinstance(each, str)]
        asked = [*(Asked(f"{each}/v2") for each in mirrors), Asked(f"https://{HUB_SERVER}/v2")]
        return bool(mirrors) and meaning["pull"] == meaning["resolve"] == asked and meaning["push"] == asked[-1:]
    insecure = there.get(INSECURE)
    itself = [Asked(f"http://{registry}/v2")]
    return isinstance(insecure, list) and registry in insecure and all(each == itself for each in meaning.values())
