"""Images for a site without a network: which go into a bundle, and which registries take one."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from offline_sync import selectors
from settings.registries import Calendar
from settings.values import (
    USER_NAME,
    BaseUrl,
    File,
    Folder,
    LoginName,
    Name,
    RegistryName,
    Settings,
    UserName,
    distinct,
    matching,
)


def _selector(value: str) -> str:
    selectors.check(value)
    return value


Repository = Annotated[
    str,
    matching(
        r"[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*",
        "a repository as it stands in an image reference, without registry, tag and digest, such as library/alpine",
    ),
]
Selector = Annotated[str, AfterValidator(_selector)]
"""A tag, a pattern such as `1.*`, or a range of versions such as `>=1.2 <2`."""
Digest = Annotated[str, matching(r"sha256:[0-9a-f]{64}", "a digest, sha256: and 64 hexadecimal digits")]
Platform = Annotated[
    str, matching(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?", "system/architecture, such as linux/amd64 or linux/arm/v7")
]


class WantedImages(Settings):
    """Images of one repository, each with its signatures and with what else refers to it."""

    registry: RegistryName
    """As image references name it, such as docker.io."""
    repository: Repository
    """As it stands in an image reference, without registry, tag and digest."""
    tags: tuple[Selector, ...] = ()
    """Tags by name, by pattern (`1.*`), by range of versions (`>=1.2 <2`: whole versions only). One that finds nothing
    is an error."""
    digests: tuple[Digest, ...] = ()
    """Images that need no tag."""
    platforms: tuple[Platform, ...] | None = None
    """Those of an image for several; all if absent. The image keeps its digest and lacks the others' parts: the
    registry that takes it must say `sparse_indexes`."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.tags and not self.digests:
            raise ValueError("must say which images; add tags or digests")
        if self.platforms == ():
            raise ValueError("platforms is empty; name one, or leave it out for all")
        return self

    @property
    def path(self) -> str:
        """The repository as the registry has it: Docker Hub's short names are below `library`."""
        return f"library/{self.repository}" if self._is_short else self.repository

    @property
    def _is_short(self) -> bool:
        return self.registry == "docker.io" and "/" not in self.repository


class SyncLogin(Settings):
    """Who asks at a registry."""

    user: LoginName | None = None
    """As whom to log in; nobody if absent."""
    password: UserName | None = None
    """Whose password it is: the secret `password-<password>`; `password-<user>` if absent."""
    authority: str | None = None
    """A PEM file below the project folder: who signs the registry's certificate, besides those that the host trusts."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.user is None and self.password is not None:
            raise ValueError("a password without its user; add user")
        if self.user is not None and self.password is None and not USER_NAME.fullmatch(self.user):
            raise ValueError(f"user {self.user!r} can't name a secret; add a `password`, such as password: robot")
        return self

    @property
    def secret(self) -> str | None:
        """The name of the secret."""
        return f"password-{self.password or self.user}" if self.user else None


class Source(SyncLogin):
    """Where the images of a registry come from; https at its own name, without a login, where there is no entry."""

    registry: RegistryName
    """Whose images, as image references name it."""
    url: BaseUrl | None = None
    """Another place that has them, such as a mirror."""
    through: Name | None = None
    """A registry of this tier that has them, such as its cache of that registry."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.url and self.through:
            raise ValueError("has url and through; leave one of them out")
        return self


class Target(SyncLogin):
    """Which registry of this tier takes a bundle's images of a registry."""

    registry: RegistryName
    """Whose images, as image references name it; the bundle has them under this name."""
    to: Name
    """A hosted registry. It must let the user push."""


class OfflineSync(Settings):
    """Bundles: made where there is a network (`images`), loaded where there is none (`into`). It needs skopeo there."""

    host: Name
    """Where the commands run."""
    folder: Folder = "/var/lib/http-registry-bundle"
    """The bundle on that host. It stays after `pulumi destroy`."""
    tar: File | None = None
    """The same as one file, written anew by each run."""
    schedule: Calendar | None = None
    """When a bundle is made by itself, as a systemd OnCalendar expression in the host's time zone."""
    images: tuple[WantedImages, ...] = ()
    """What goes into the bundle."""
    sources: Annotated[tuple[Source, ...], AfterValidator(distinct("registry"))] = ()
    """Where images come from, for registries that are reached elsewhere than at their own names."""
    into: Annotated[tuple[Target, ...], AfterValidator(distinct("registry"))] = ()
    """Which registries of this tier take a bundle's images."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.images and not self.into:
            raise ValueError("must have images, to make bundles of, or into, to load them; add one")
        if self.schedule and not self.images:
            raise ValueError("has a schedule, and no images to make a bundle of; add images or remove the schedule")
        return self

    @property
    def logins(self) -> tuple[SyncLogin, ...]:
        """Everybody who logs in somewhere."""
        return tuple(each for each in (*self.sources, *self.into) if each.user)
