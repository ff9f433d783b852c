"""FirewallPolicy: only these networks reach these ports of a host, whoever listens there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.host import Host
from documents import firewall_rules
from settings.firewall import Firewall, Rule


@dataclass(frozen=True)
class FirewallPolicyArgs:
    """Each rule's ports of `host` are open to its networks, to loopback and to the host itself, and to nobody else.

    `rules` are those of this host; `settings.containers`: whether to the host's containers too. A port that no rule
    names any more stays guarded as long as somebody listens there. `ssh_port` is the admin's way in: a policy that
    would close it is refused, or with `settings.force` left to the trial that each change goes through: it is taken
    back after `settings.confirm_seconds` unless a new SSH connection confirms it.
    """

    host: Host
    rules: Sequence[Rule]
    settings: Firewall
    ssh_port: int


class FirewallPolicy(pulumi.ComponentResource):
    """A rule set in chains, or a table, of its own, loaded at boot as well, and its confirmation over another
    connection."""

    documents: Mapping[str, str]
    """The rendered files by path; of those for iptables and for nft the host takes what it has the program for."""

    def __init__(self, name: str, args: FirewallPolicyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("http-registry:index:FirewallPolicy", name, None, opts)
        rendered = firewall_rules.render(args.rules, args.settings.containers)
        self.documents = {each.path: each.text for each in rendered}
        wish = firewall_rules.wish(args.rules, args.settings, args.ssh_port)
        self.rules = args.host.run_unit("firewall", wish, self)
        self.confirmed = args.host.confirm_unit("firewall", wish, self.rules, args.settings.confirm_seconds, self)
        self.register_outputs(
            args.host.shows_units({"firewall": self.documents}, confirm_seconds=args.settings.confirm_seconds)
        )
