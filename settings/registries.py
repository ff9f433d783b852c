"""The registries of a tier: those to push to, and pull-through caches."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from settings.values import BaseUrl, Duration, ImageReference, Name, Port, RegistryName, Settings


class Image(Settings):
    """The registry's own image (distribution v3)."""

    reference: ImageReference
    archive: str | None = None
    """A `docker save` archive that holds `reference`, below the project folder: for hosts that reach no registry."""


class HostedRegistry(Settings):
    """A registry to push to and pull from."""

    kind: Literal["hosted"]
    name: Name
    host: Name
    port: Port = 5000
    """Port on the host; on 127.0.0.1 where the proxy stands before it, else on every address."""
    keep_data: bool = True
    """Whether the volume with the images outlives `pulumi destroy`."""


class CacheRegistry(Settings):
    """A pull-through cache of one upstream registry. It can't be pushed to."""

    kind: Literal["cache"]
    name: Name
    host: Name
    port: Port = 5001
    serves: RegistryName
    """The registry's name in image references, such as docker.io."""
    upstream: BaseUrl
    """Where the blobs come from, such as https://registry-1.docker.io."""
    upstream_user: str | None = None
    """Login at the upstream; its password is the secret `upstream-password-<name>`."""
    keep: Duration = "168h"
    """How long a cached blob stays before it is fetched anew; distribution's own default."""


Registry = Annotated[HostedRegistry | CacheRegistry, Field(discriminator="kind")]
