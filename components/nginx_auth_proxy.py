"""NginxAuthProxy: Nginx on the registry's host, which authenticates, caches and filters before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.host import Host
from documents import nginx_site
from settings.tier import Tier


@dataclass(frozen=True)
class NginxAuthProxyArgs:
    """`passwords`: each user's password by the user's name, as secrets."""

    host: Host
    tier: Tier
    passwords: Mapping[str, pulumi.Output[str]]


class NginxAuthProxy(pulumi.ComponentResource):
    """A site of the host's nginx; other sites stay as they are."""

    documents: Mapping[str, str]
    """The rendered files by path, and the users with their roles; no passwords, no hashes."""

    def __init__(
        self,
        name: str,
        args: NginxAuthProxyArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after`: what must be in place before its ports open: the firewall, and the registries behind it."""
        super().__init__("http-registry:index:NginxAuthProxy", name, None, opts)
        site = nginx_site.render(args.tier)
        users = [{"name": user.name, "role": user.role} for user in site.users]
        self.documents = {
            **{each.path: each.text for each in site.documents},
            "users": "".join(f"{user['name']}: {user['role']}\n" for user in users),
        }

        def with_passwords(known: Mapping[str, str]) -> dict[str, Any]:
            return {**site.wish(), "users": [{**user, "password": known[user["name"]]} for user in users]}

        self.site = args.host.run_unit(
            "nginx-proxy", pulumi.Output.all(**args.passwords).apply(with_passwords), self, depends_on=after
        )
        self.register_outputs({})
