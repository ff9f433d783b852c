"""What each component of the package takes, and what it gives.

The pieces are the settings' own (settings/): the same keys, rules and defaults as in a stack's file. A path of a file
is below the folder of the program that uses the component, as it is there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from settings.firewall import Guard, Networks, Rule
from settings.offline_sync import Digest
from settings.proxy import Cache, Endpoint, Limits, User
from settings.registries import CacheRegistry, HostedRegistry, Image
from settings.runtimes import Authority, Runtimes
from settings.tier import Ssh, Tier
from settings.values import Address, BaseUrl, HostKey, Port, RegistryName, Settings

Secret = Annotated[str, Field(json_schema_extra={"secret": True})]
"""A text that is encrypted in every state and masked in every view."""
Secrets = dict[str, Secret]
Texts = dict[str, str]


Unsaid = Field(json_schema_extra={"hidden": True})
"""Of a key that a stack's file has, and a program has no use for."""


class MachineSsh(Ssh):
    """How the program reaches a machine, as root, since every change to a host needs it.

    Authentication is the SSH agent's ($SSH_AUTH_SOCK): no key enters the state.
    """

    host_key: HostKey
    """The machine's public key as `ssh-keyscan` prints it, without the name."""


class Machine(Settings):
    """The machine that a component changes. It needs sshd and `python3` 3.9 or newer."""

    address: Address
    """Where other hosts reach its services."""
    ssh: MachineSsh
    ssh_port: Port = 22
    """The port of sshd on the machine itself, where `ssh.port` is another because something forwards it."""


class OneMachine(Settings):
    """What each component of one machine takes."""

    host: Machine


class Written(Settings):
    """What each component of one machine gives."""

    documents: Texts
    """What is written on the machine: each file's text by its path, without any secret. `pulumi preview --diff` shows
    its changed lines."""


class FirewallPolicy(OneMachine, Guard):
    """Only these networks reach these ports of a machine, whoever listens there: a process of the host, or a container
    whose port Docker publishes. Loopback and the machine's own addresses always do.

    A change that would shut its admin out goes back by itself. One of these for a machine.
    """

    rules: tuple[Rule, ...] = Field(min_length=1)
    """Which ports are open to whom. Other ports stay as they are."""


class RuntimeMirrorConfig(OneMachine, Runtimes):
    """A machine's container runtimes pull through mirrors, trust authorities and log in.

    What is there already stays; each change is validated, atomic, verified, and taken back by a destroy. One of these
    for a machine.
    """

    mirrors: dict[RegistryName, BaseUrl] = Field(default_factory=dict)
    """Where to ask for a registry's images: the mirror's URL by the registry's name, such as docker.io. The output
    `mirrors` of a NginxAuthProxy or a Site is such a map."""
    hosted: tuple[BaseUrl, ...] = ()
    """The URLs of registries of your own. One without TLS is named as such to each runtime."""
    canaries: dict[RegistryName, Digest] = Field(default_factory=dict)
    """The image that proves a mirror, by the registry's name: the output `canaries` of a NginxAuthProxy. After each
    change the runtimes pull it; where they get it from elsewhere, or not at all, the change is taken back. No proof if
    empty."""
    authorities: tuple[Authority, ...] = ()
    """Whom the machine trusts besides the authorities that it knows."""
    secrets: Secrets = Field(default_factory=dict)
    """The passwords of the logins, by the names that the logins give them: `password-<user>`."""


class MachineHostedRegistry(HostedRegistry):
    """A registry to push to and pull from."""

    host: Annotated[Literal[""], Unsaid] = ""
    garbage_collection: Annotated[None, Unsaid] = None


class MachineCacheRegistry(CacheRegistry):
    """A pull-through cache of one upstream registry. It can't be pushed to.

    Behind a NginxAuthProxy it is nginx's own cache; in a HttpRegistry it is a container.
    """

    host: Annotated[Literal[""], Unsaid] = ""


MachineRegistry = Annotated[MachineHostedRegistry | MachineCacheRegistry, Field(discriminator="kind")]


class Registries(OneMachine):
    """What components around the registries of one machine take."""

    registries: tuple[MachineRegistry, ...] = Field(min_length=1)
    """The registries of this machine. Behind a NginxAuthProxy a cache needs no container: it is named there alone."""
    secrets: Secrets = Field(default_factory=dict)
    """The secrets that the settings speak of, by their names, such as `http-secret-<name>`."""


class HttpRegistry(Registries):
    """Registries in containers of a machine's Docker: to push to, or pull-through caches of one upstream each.

    All those of one machine belong in one of these.
    """

    image: Image
    loopback_only: bool = True
    """Whether their ports are open on 127.0.0.1 alone, for a NginxAuthProxy on the same machine. Else they are open on
    every address: to whom, says a FirewallPolicy, on which this one depends."""


class Served(Written):
    """What a component that serves images gives."""

    urls: Texts
    """Where clients reach each registry to push to, by its name."""
    mirrors: Texts
    """The URL of the mirror of each registry that is served here, by that registry's name, such as docker.io."""


class NginxAuthProxy(Registries):
    """Nginx before the registries of a machine, which authenticates, terminates TLS, filters and caches.

    Its ports are open on every address, and nginx denies whoever is not in `allow`; a FirewallPolicy, on which this one
    depends, has them dropped before. One of these for a machine.
    """

    allow: Networks
    """The networks whose requests are answered."""

    endpoints: tuple[Endpoint, ...] = Field(min_length=1)
    """A name and a port each, and which of the registries is behind it."""
    users: tuple[User, ...] = ()
    """Who may log in; each one's password is the secret `password-<name>`."""
    bcrypt_cost: int = Field(default=10, ge=4, le=14)
    """Work factor of the password hashes: each step doubles it."""
    cache: Cache = Cache()
    limits: Limits = Limits()
    authorities: tuple[Authority, ...] = ()
    """Who signs the certificates of endpoints and upstreams, besides the authorities that everybody knows."""


class Proxied(Served):
    """What a proxy gives."""

    canaries: Texts
    """The digest of the image that proves each mirror, by the registry's name."""


class Site(Tier):
    """A whole site: its hosts, its registries, the proxy before them, the runtimes that use them, the firewall around
    them. All that a stack's file of http-registry can say, by the same keys."""

    observe: Annotated[bool, Unsaid] = False
    secrets: Secrets = Field(default_factory=dict)
    """The secrets that the settings speak of, by their names, such as `password-<user>`."""


class SiteOutputs(Settings):
    """What other programs build on (docs/outputs.md), and `documents`."""

    endpoint: str | None = None
    """URL of the first hosted registry, to push to and pull from; absent where there are only caches."""
    endpoints: Texts
    """The same for each hosted registry, by its name."""
    mirrors: Texts
    """URL of the mirror for each registry that has one here, by that registry's name in image references."""
    pull_prefix: str | None = None
    """What a reference to an image of the first hosted registry begins with, without a slash at its end."""
    ca_certificate: str | None = None
    """The authorities that sign the endpoints, as PEM; absent where none has to be trusted besides the known ones."""
    pull_credentials: dict[str, Secret] | None = None
    """`server`, `username` and `password` of the first user with the role pull; absent where nobody has to log in."""
    dockerconfigjson: Secret
    """The text of a .dockerconfigjson (Kubernetes), and of a config.json of Docker: that user's logins."""
    metrics_endpoint: str | None = None
    """URL that Prometheus scrapes; absent where nobody but the proxy's own host may."""
    documents: dict[str, Texts]
    """What is written on each host: each file's text by its path, by the host's name, without any secret."""
