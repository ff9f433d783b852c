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
    policy that would close it is refused.
    """

    host: Host
    ports: Sequence[int]
    allow: Sequence[str]
    ssh_port: int


class FirewallPolicy(pulumi.ComponentResource):
    """A rule set in chains of its own, loaded at boot as well."""

    documents: Mapping[str, str]
    """The rendered files by path."""

    def __init__(self, name: str, args: FirewallPolicyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("http-registry:index:FirewallPolicy", name, None, opts)
        rules = firewall_rules.render(args.ports, args.allow)
        self.documents = {each.path: each.text for each in rules}
        self.rules = args.host.run_unit(
            "firewall",
            {
                "files": [each.as_wish() for each in rules],
                "ports": list(args.ports),
                "allow": list(args.allow),
                "ssh_port": args.ssh_port,
            },
            self,
        )
        self.register_outputs({})
