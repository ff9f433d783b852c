"""NginxAuthProxy: Nginx on the registry's host, which authenticates, caches and filters before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.host import Host
from documents import nginx_site, origin
from settings.certificates import Certificate
from settings.registry_files import RegistryFiles
from settings.server_certificates import ServerCertificate
from settings.tier import Tier


@dataclass(frozen=True)
class NginxAuthProxyArgs:
    """`passwords`: each user's, by the user's name, as secrets. `tls_secrets`: each private key, or the PIN of the
    token that holds it, by the key's name. `certificates`: by the key's name. `registry_files`: by the registry's name.
    `upstream_passwords`: of the caches that log in at their upstreams, by the secrets' names. `authorities`:
    the tier's.
    """

    host: Host
    tier: Tier
    passwords: Mapping[str, pulumi.Output[str]]
    tls_secrets: Mapping[str, pulumi.Output[str]]
    certificates: Mapping[str, ServerCertificate]
    registry_files: Mapping[str, RegistryFiles]
    upstream_passwords: Mapping[str, pulumi.Output[str]]
    authorities: Sequence[Certificate] = ()


class NginxAuthProxy(pulumi.ComponentResource):
    """A site of the host's nginx; other sites stay as they are."""

    documents: Mapping[str, str]
    """The rendered files by path, certificates in a line each, and the users with their roles; no passwords, no hashes.
    """

    def __init__(
        self,
        name: str,
        args: NginxAuthProxyArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """`after`: what must be in place before its ports open: the firewall, and the registries behind it."""
        earlier = pulumi.ResourceOptions(aliases=[pulumi.Alias(name="proxy")])  # its name had no host
        super().__init__("http-registry:index:NginxAuthProxy", name, None, pulumi.ResourceOptions.merge(opts, earlier))
        site = nginx_site.render(args.tier, args.certificates, args.registry_files, args.authorities)
        users = [{"name": user.name, "role": user.role} for user in site.users]
        by_unit: dict[str, Mapping[str, str]] = {}
        by_unit["nginx-proxy"] = {
            **{each.path: each.text for each in site.documents},
            **site.shown_certificates(),
            "users": "".join(f"{user['name']}: {user['role']}\n" for user in users),
        }

        def with_secrets(known: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
            wish = site.wish()
            return {
                **wish,
                "files": [*wish["files"], *site.secrets(known["tls"])],
                "users": [{**user, "password": known["passwords"][user["name"]]} for user in users],
                "passwords_before": self._runtimes_users,
            }

        self._host = args.host
        self._runtimes_users = args.tier.runtimes_users()
        self._overlap_seconds = args.tier.proxy.password_overlap_seconds if args.tier.proxy else 0

        before = [*after, *self._origin(args, after, by_unit)]
        self.documents = {path: text for texts in by_unit.values() for path, text in texts.items()}
        secrets = pulumi.Output.all(
            passwords=pulumi.Output.all(**args.passwords), tls=pulumi.Output.all(**args.tls_secrets)
        )
        self._wish = secrets.apply(with_secrets)
        self.site = args.host.run_unit("nginx-proxy", self._wish, self, depends_on=before)
        self.register_outputs(args.host.shows_units(by_unit))

    def settle(self, after: Sequence[pulumi.Resource]) -> None:
        """Take only the new passwords from then on. `after`: the runtimes that have been given them."""
        if self._runtimes_users:
            settled: dict[str, Any] = {
                "passwords_before": [],
                "password_overlap_seconds": self._overlap_seconds or None,
            }
            wish = self._wish.apply(lambda whole: {**whole, **settled})
            # Not a part of this component: the runtimes come after that as a whole.
            self._host.run_unit("nginx-proxy", wish, self._host, depends_on=[self.site, *after], step="-settled")

    def _origin(
        self, args: NginxAuthProxyArgs, after: Sequence[pulumi.Resource], by_unit: dict[str, Mapping[str, str]]
    ) -> list[pulumi.Resource]:
        """The service that fetches what the cache lacks, where there is anything to fetch; its texts in `by_unit`."""
        service = origin.render(args.tier, args.registry_files)
        if service is None:
            return []
        by_unit["origin"] = service.shown()

        def with_passwords(known: Mapping[str, str]) -> dict[str, Any]:
            rendered = origin.render(args.tier, args.registry_files, known)
            assert rendered is not None
            return rendered.wish()

        wish = pulumi.Output.all(**args.upstream_passwords).apply(with_passwords)
        return [args.host.run_unit("origin", wish, self, depends_on=after)]
