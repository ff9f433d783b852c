"""The authorities that a host trusts for this tier's servers: the wish for hostctl, and what people see of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from documents.document import HEADER_LINE
from hostctl import certificates, certs_folders
from hostctl.units.authorities import IN_SYSTEM
from settings.certificates import Certificate
from settings.runtimes import Runtime


@dataclass(frozen=True)
class Authorities:
    """What one host trusts besides what it knows; only the host knows where its own store takes files from.

    `containerd`: its config_path, or None. `hosts_toml`: the paths of the hosts.toml files of ours below it, each of
    which names the authority's file itself.
    """

    certificates: Sequence[Certificate]
    docker: bool
    containerd: str | None
    hosts_toml: Collection[str]

    def wish(self) -> dict[str, Any]:
        """The wish for hostctl's unit authorities."""
        return {
            "authorities": [
                {
                    "name": each.authority.name,
                    "pem": each.pem,
                    "registries": list(each.authority.registries),
                    "system": each.authority.system,
                }
                for each in self.certificates
            ],
            "docker": self.docker,
            "containerd": self.containerd,
            "hosts_toml": sorted(self.hosts_toml),
        }

    def shown(self) -> dict[str, str]:
        """Path to text, for people; what only the host can decide is left out, but for the mention of its store."""
        shown = {}
        for each in self.certificates:
            name, text = each.authority.name, f"{HEADER_LINE}{each.pem}"
            if each.authority.system:
                text = f"{IN_SYSTEM}{text}"
            shown[certificates.path(name)] = text
            if self.docker:
                shown |= {
                    certs_folders.path(certs_folders.DOCKER, registry, name): text
                    for registry in each.authority.registries
                }
        return shown

    def cas(self) -> dict[str, str]:
        """A CA's file on the host by the server that it is for: `ca` of a hosts.toml."""
        authorities = [each.authority for each in self.certificates]
        return {registry: certificates.path(each.name) for each in authorities for registry in each.registries}


def render(wanted: Sequence[Certificate], runtime: Runtime, hosts_toml: Collection[str]) -> Authorities:
    """What a host with these runtimes trusts. `hosts_toml`: the paths of containerd's hosts.toml files of ours."""
    containerd = runtime.containerd.config_path if runtime.containerd else None
    return Authorities(wanted, runtime.docker is not None, containerd, hosts_toml)
