"""The runtimes of a host: Docker, its command line, containerd, BuildKit; and what they need to trust and to log in."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from settings.peer import Peer
from settings.values import (
    USER_NAME,
    BaseUrl,
    File,
    Folder,
    HelperName,
    LoginName,
    Name,
    Port,
    RegistryName,
    RegistryNames,
    ServiceName,
    Settings,
    UnixUser,
    UserName,
    distinct,
)


class Login(Settings):
    """A user at one registry; the password is a secret of the stack."""

    registry: RegistryName
    """The server as image references and mirrors' URLs name it: its host, and its port where that is not the scheme's
    own."""
    user: LoginName
    """As whom the runtime logs in."""
    password: UserName | None = None
    """Whose password it is: the secret `password-<password>`; `password-<user>` if absent."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.password is None and not USER_NAME.fullmatch(self.user):
            raise ValueError(f"user {self.user!r} can't name a secret; add a `password`, such as password: robot")
        return self

    @property
    def secret(self) -> str:
        """The name of the secret."""
        return f"password-{self.password or self.user}"


Logins = Annotated[tuple[Login, ...], AfterValidator(distinct("registry"))]


class Docker(Settings):
    """Docker on a host: daemon.json, and hosts.toml where the engine reads it."""

    max_concurrent_downloads: int | None = Field(default=None, ge=1, le=64)
    """Layers fetched at once for one pull; Docker's own 3 if absent."""
    debug: bool = False
    """Whether dockerd logs at level debug, without a restart; false leaves it as the host has it."""
    fallback: bool = False
    """Whether the real registry is asked when the mirror fails. Only Docker 28 and newer with the containerd image
    store can be told not to."""
    logins: Logins = ()
    """For mirrors that ask for one: dockerd sends none by itself (moby#30880). Logins for registries that images name
    belong to the command line, `cli`."""
    relay_port: Port = 5079
    """Port on 127.0.0.1 where a Docker that reads no hosts.toml finds its mirror, and the login is added."""


class CommandLine(Settings):
    """~/.docker/config.json of one user of a host, which docker, skopeo, buildx and others read."""

    user: UnixUser
    """An account of the host."""
    logins: Logins = ()
    """Stand in the file in base64, which is no encryption; the file is readable by its user alone."""
    store: HelperName | None = None
    """`credsStore`: the helper for every registry, such as pass for docker-credential-pass."""
    helpers: dict[RegistryName, HelperName] = Field(default_factory=dict)
    """`credHelpers`: the helper for one registry, such as ecr-login; it comes before `store`."""

    @model_validator(mode="after")
    def _something(self) -> CommandLine:
        if not (self.logins or self.store or self.helpers):
            raise ValueError("must have logins, store or helpers; add one or remove the entry")
        return self


class Mirror(Settings):
    """Mirrors of one registry that this tier does not run, such as another site's."""

    serves: RegistryNames
    """The registry's name in image references, such as quay.io; `*`: every registry that has no mirrors here."""
    endpoints: tuple[BaseUrl, ...] = Field(min_length=1)
    """Asked in this order, after this tier's own mirror of that registry."""


class ContainerdLogin(Login):
    """A login of containerd."""

    by: Literal["header", "cri"] = "header"
    """`header`: an Authorization header in hosts.toml, for mirrors and registries that take Basic auth; it goes with
    every request, so what the kubelet passes with a pull counts only where it is refused. `cri`: the CRI's
    `registry.configs.*.auth` in config.toml, for registries that want a token; what the kubelet passes comes before it.
    Deprecated in containerd, and a change restarts it."""

    @model_validator(mode="after")
    def _hub_wants_a_token(self) -> Self:
        if self.registry == "docker.io" and self.by == "header":
            raise ValueError("docker.io takes a token, never Basic auth; add by: cri")
        return self


class Containerd(Settings):
    """containerd on a host: config.toml and hosts.toml."""

    max_concurrent_downloads: int | None = Field(default=None, ge=1, le=64)
    """Layers fetched at once for one pull; containerd's own 3 if absent."""
    mirrors: Annotated[tuple[Mirror, ...], AfterValidator(distinct("serves"))] = ()
    """More registries to pull through mirrors; those of this tier's caches are there anyway."""
    logins: Annotated[tuple[ContainerdLogin, ...], AfterValidator(distinct("registry"))] = ()
    """For mirrors and registries that ask for one."""
    debug: bool = False
    """Whether it logs at level debug. A change restarts it; running containers are kept."""
    migrate_deprecated: bool = False
    """Whether somebody else's `registry.mirrors` and `registry.configs.*.tls` become hosts.toml files; else they are an
    error. Logins stay in config.toml."""
    config_path: Folder = "/etc/containerd/certs.d"
    """The folder that holds a folder with hosts.toml for each registry."""
    fallback: bool = False
    """Whether the real registry is asked when the mirror fails."""


class BuildKit(Settings):
    """A BuildKit daemon of its own on a host, or of buildx's docker-container driver; Docker's own one reads Docker's
    files. Where a mirror asks for a login, BuildKit sends that of whoever builds, from their ~/.docker/config.json (see
    `cli`). Source: docs.docker.com/build/buildkit/toml-configuration."""

    config: File = "/etc/buildkit/buildkitd.toml"
    """Its configuration."""
    service: ServiceName = "buildkit"
    """The systemd service that is restarted for a change, if it runs."""


class Runtimes(Settings):
    """The runtimes of one host."""

    docker: Docker | None = None
    """Docker, `{}` with all defaults; left alone if absent."""
    cli: Annotated[tuple[CommandLine, ...], AfterValidator(distinct("user"))] = ()
    """The command line's configuration of accounts of the host."""
    containerd: Containerd | None = None
    """containerd, `{}` with all defaults; left alone if absent."""
    buildkit: BuildKit | None = None
    """A BuildKit daemon of its own, `{}` with all defaults; left alone if absent."""
    peer: Peer | None = None
    """Who is asked before the mirrors, for what other hosts have already."""

    @property
    def logins(self) -> tuple[Login, ...]:
        """Every login of the host."""
        runtimes = [each.logins for each in (self.docker, self.containerd, *self.cli) if each]
        return tuple(login for logins in runtimes for login in logins)


class Runtime(Runtimes):
    """The runtimes of one host that use this tier's registries."""

    host: Name
    """Whose runtimes they are, by its name in `hosts`."""
    prove: bool = True
    """Whether Docker and containerd pull an image that nobody but the proxy has, after each change of their
    configuration; where they get it from elsewhere or not at all, the change is taken back."""


class Authority(Settings):
    """A certificate authority that the runtimes' hosts trust."""

    name: Name
    """What it is called in these settings, and by its files on hosts."""
    certificate: str
    """A PEM file below the project folder, with one certificate or a chain."""
    registries: tuple[RegistryName, ...] = Field(min_length=1)
    """The servers whose certificates it has signed, as image references and mirrors' URLs name them."""
    system: bool = True
    """Whether the host's own store trusts it too, which curl and others read; runtimes that run do at their next
    start."""
