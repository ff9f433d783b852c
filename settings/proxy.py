"""The proxy before the registries: its endpoints, its users, its cache, its limits."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PrivateAttr

from settings.standby import Standby
from settings.tls import Tls
from settings.values import Address, Duration, Name, Port, Settings, Size, Span, UserName


class User(Settings):
    """A user of the proxy's endpoints; the password is the secret `password-<name>`."""

    name: UserName
    """As whom clients log in."""
    role: Literal["pull", "push"]
    """`pull`: GET and HEAD. `push`: everything."""


class Endpoint(Settings):
    """A name and port on the proxy, and the registry behind it.

    Before a cache: anonymous GET and HEAD, since dockerd sends no credentials to a mirror. Before a hosted registry:
    Basic auth for the proxy's users, or the registry's own token auth where it has it.
    """

    registry: Name
    """The name of the registry behind it."""
    port: Port
    """The port that clients use."""
    server_name: Address
    """The name or address that clients use."""
    login: bool = False
    """Whether a cache's endpoint asks for Basic auth too; then each runtime that pulls through it needs a login. A
    hosted registry's always does."""
    anonymous_pull: bool = False
    """Whether a hosted registry's endpoint lets anybody in the allowlist pull; to push still needs a user.

    Clients learn at `/v2/` whether to log in, and there nobody has to. So skopeo, and Docker without the containerd
    image store, never send a login here: they push through a second endpoint of the registry, on another port, without
    this. containerd, and Docker with that store, send it once a push is refused. `docker login` here is content with
    any password."""
    tls: Tls | None = None
    """HTTPS; HTTP if absent."""

    @property
    def scheme(self) -> str:
        """What it speaks: http or https."""
        return "https" if self.tls else "http"

    @property
    def key(self) -> str:
        """What its files and zones are called by."""
        return f"{self.registry}-{self.port}"


class Cache(Settings):
    """The proxy's cache, for each endpoint one."""

    size: Size = "10g"
    """Most bytes on disk; the least used go first."""
    unused: Duration = "30d"
    """What nobody asked for during this time goes."""
    tag_lifetime: Duration = "60s"
    """How long a mirror answers for a tag without asking its upstream."""
    stale: Span = "7d"
    """How much longer it answers for a tag while the upstream is down; 0s: not at all."""
    verdict_stale: Span = "60s"
    """A hosted registry is asked, at least every 30 s, whether a repository has a blob before the cached one is served.
    While the registry is down, its last answer counts this much longer; and so long counts what it has last said of a
    tag. 0s: not at all."""


class Limits(Settings):
    """What one client address may do. The proxy's own host is not limited."""

    requests_per_second: int | None = Field(default=None, ge=1)
    """More than this, beyond a burst of ten times as much, get 429. No limit if absent."""
    connections: int | None = Field(default=None, ge=1)
    """Requests at the same time; more get 429. No limit if absent."""
    logins_per_second: int = Field(default=5, ge=1)
    """Passwords that are checked, beyond a burst of ten times as much, before a client gets 429: each check takes a
    core 60 ms at bcrypt cost 10. A password that was right is not checked again for 50 s."""


class Proxy(Settings):
    """Nginx before the registries of one host."""

    host: Name
    """Where nginx runs, by its name in `hosts`."""
    endpoints: tuple[Endpoint, ...] = Field(min_length=1)
    """Where clients reach the registries."""
    users: tuple[User, ...] = ()
    """Who may log in at the endpoints."""
    bcrypt_cost: int = Field(default=10, ge=4, le=14)
    """Work factor of the password hashes: each step doubles it."""
    password_overlap_seconds: int = Field(default=10, ge=0, le=600)
    """How long the proxy still takes a replaced password once the stack's runtimes have the new one: a pull that began
    with the old one has so long to end. The `up` that replaces it waits as long."""
    cache: Cache = Cache()
    """What is kept of the registries' answers, and for how long."""
    limits: Limits = Limits()
    """What one client may ask for."""
    standby: Standby | None = None
    """A second proxy, for when this one's host or nginx fails; none if absent."""

    _stands_in_for: str = PrivateAttr("")

    @property
    def stands_in_for(self) -> str:
        """At the standby, the first proxy's host: see settings/standby.py. Empty at the first one."""
        return self._stands_in_for

    @property
    def hosts(self) -> tuple[str, ...]:
        """The proxy's host, and behind it the standby's where there is one."""
        return (self.stands_in_for or self.host, self.standby.host) if self.standby else (self.host,)

    def seen_from_standby(self) -> Proxy:
        """The same on the standby's host."""
        assert self.standby
        seen = self.model_copy(update={"host": self.standby.host})
        seen._stands_in_for = self.host
        return seen

    @property
    def ports(self) -> set[int]:
        """The ports that its endpoints open, those that only redirect included."""
        ports = {each.port for each in self.endpoints}
        return ports | {each.tls.redirect_from for each in self.endpoints if each.tls and each.tls.redirect_from}
