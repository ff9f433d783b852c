"""Who reaches the guarded ports of a host: the wish, and the files that it becomes there.

Only the host knows which program it has, which ports are still in use and which bridges are not Docker's: the wish
holds the rules, and the host renders the files (`hostctl.firewall_programs`). Here they are rendered for the preview:
for both programs, and for a host that adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from documents.document import Document
from hostctl import firewall_boot, iptables_rules, nftables_rules
from hostctl.firewall_rules import OWN_BRIDGE, Policy, rules_of
from settings.firewall import Firewall, Rule

__all__ = ["OWN_BRIDGE", "render", "wish"]


def wish(rules: Sequence[Rule], policy: Firewall, ssh_port: int) -> dict[str, Any]:
    """What hostctl is asked for. `rules`: the host's; `ssh_port`: the admin's way in."""
    return {
        "rules": _listed(rules),
        "containers": policy.containers,
        "ssh_port": ssh_port,
        "confirm_seconds": policy.confirm_seconds,
        "force": policy.force,
    }


def render(rules: Sequence[Rule], containers: bool) -> tuple[Document, ...]:
    """The rule sets of both families for iptables, the one for nft, the boot unit and its drop-ins."""
    policy = Policy(rules_of({"rules": _listed(rules)}), containers)
    by_path = {path: iptables_rules.render(policy, family) for family, path in iptables_rules.FILES.items()}
    by_path[nftables_rules.FILE] = nftables_rules.render(policy)
    return tuple(Document(path, text) for path, text in {**by_path, **firewall_boot.files()}.items())


def _listed(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json") for each in rules]
