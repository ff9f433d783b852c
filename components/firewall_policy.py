"""FirewallPolicy: only these networks reach these ports of a host, whoever listens there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.host import Host
from documents import firewall_rules


@dataclass(frozen=True)
class FirewallPolicyArgs:
    """`ports` of `host` are open to the networks in `allow`, to loopback and to the host itself, and to nobody else.

    A port that leaves `ports` stays guarded as long as somebody listens there. `ssh_port` is the admin's way in: a
    policy that would close it is refused, or with `force` left to the trial that each change goes through: it is taken
    back after `confirm_seconds` unless a new SSH connection confirms it.
    """

    host: Host
    ports: Sequence[int]
    allow: Sequence[str]
    ssh_port: int
    confirm_seconds: int
    force: bool


class FirewallPolicy(pulumi.ComponentResource):
    """A rule set in chains of its own, loaded at boot as well, and its confirmation over another connection."""

    documents: Mapping[str, str]
    """The rendered files by path."""

    def __init__(self, name: str, args: FirewallPolicyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("http-registry:index:FirewallPolicy", name, None, opts)
        rules = firewall_rules.render(args.ports, args.allow)
        self.documents = {each.path: each.text for each in rules}
        wish = {
            "files": [each.as_wish() for each in rules],
            "ports": list(args.ports),
            "allow": list(args.allow),
            "ssh_port": args.ssh_port,
            "confirm_seconds": args.confirm_seconds,
            "force": args.force,
        }
        self.rules = args.host.run_unit("firewall", wish, self)
        self.confirmed = args.host.confirm_unit("firewall", wish, self.rules, args.confirm_seconds, self)
        self.register_outputs({})
