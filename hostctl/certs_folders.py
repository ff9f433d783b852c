"""The folders below which Docker and containerd look, at each pull, for what a registry's certificates are signed by.

Every *.crt in a registry's folder counts there, save beside a hosts.toml that says something: then only what that
names as `ca` does, for containerd and for Docker 28 and newer with the containerd image store. Of `host_port_`,
`host:port` and `_default` these two look into the first that exists, even an empty one; other Dockers know `host:port`
alone. Sources: containerd core/remotes/docker/config/hosts.go, moby daemon/pkg/registry; what was seen running on which
version: docs/authorities.md.
"""

from __future__ import annotations

from typing import List, Optional

from hostctl import files, hosts_toml
from hostctl.host import Host
from hostctl.trust_store import PREFIX
from hostctl.unit import HEADER

DOCKER = "/etc/docker/certs.d"
SUFFIX = ".crt"
DEFAULT = "_default"


def path(root: str, folder: str, authority: str) -> str:
    """The file that makes an authority count for a folder's registry."""
    return f"{root}/{folder}/{PREFIX}{authority}{SUFFIX}"


def rules(root: str, folder: str) -> str:
    """The hosts.toml of a folder."""
    return f"{root}/{folder}/hosts.toml"


def names(registry: str) -> List[str]:
    """The names that a registry's folder may have, in the order in which they are looked for."""
    return list(dict.fromkeys([hosts_toml.folder(registry), registry, DEFAULT]))


def taken(host: Host, root: str, registry: str) -> Optional[str]:
    """The name of the folder of others that counts for a registry; None where there is none with anything in it."""
    for name in names(registry):
        folder = host.path(f"{root}/{name}")
        if folder.is_dir() and not all(_is_ours(each.name) for each in folder.iterdir()):
            return name
    return None


def foreign_rules(host: Host, root: str, folder: str) -> Optional[str]:
    """The text of somebody's hosts.toml in a folder; None where there is none, none that says anything, or ours."""
    state = files.read(host.path(rules(root, folder)))
    if state is None or not state.content.strip() or HEADER.encode() in state.content:
        return None
    return state.content.decode(errors="replace")


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and name.endswith(SUFFIX)
