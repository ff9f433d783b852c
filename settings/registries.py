"""The registries of a tier: those to push to, and pull-through caches."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.values import (
    BaseUrl,
    Duration,
    HostName,
    ImageReference,
    Name,
    Port,
    RegistryName,
    Settings,
    matching,
)

Region = Annotated[str, matching(r"[a-z0-9-]{1,32}", "a region's name, such as eu-central-1")]
Bucket = Annotated[
    str, matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "3 to 63 lower-case letters, digits, dots and dashes")
]
Prefix = Annotated[
    str,
    matching(r"([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?", "a path without a slash at its ends"),
]
Printable = Annotated[str, matching(r"[!#-\[\]-~]{1,200}", "printable characters without blanks, quotes, backslashes")]
StackName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+)?",
        "a stack's name, such as core, or with organization and project before it: organization/http-registry/core",
    ),
]
Calendar = Annotated[
    str,
    matching(
        r"[A-Za-z0-9*][A-Za-z0-9*:,./~ _+-]{0,99}",
        "a systemd calendar expression (man systemd.time), such as 'Sun 03:30' or daily",
    ),
]
"""When something is done. The host's `systemd-analyze calendar` has the last word."""


class Image(Settings):
    """The registry's own image (distribution v3)."""

    reference: ImageReference
    """The image as Docker names it, such as registry:3.1.2."""
    archive: str | None = None
    """A `docker save` archive that holds `reference`, below the project folder: for hosts that reach no registry."""


class S3(Settings):
    """A bucket that keeps a registry's images. Its keys are the secrets `s3-access-key-<name>` and
    `s3-secret-key-<name>`, `<name>` being the registry's.

    A pull is sent on to the bucket by a redirect, which is signed and counts for 20 minutes.
    """

    endpoint: BaseUrl
    """The store, such as https://s3.eu-central-1.amazonaws.com."""
    region: Region
    """The bucket's region."""
    bucket: Bucket
    """The bucket's name."""
    prefix: Prefix = ""
    """A folder in the bucket; the bucket itself if empty."""
    path_style: bool = True
    """Whether the bucket's name stands in the path; else it is a label of the host's name."""
    verify: bool = True
    """Whether the store's certificate is checked."""
    authority: str | None = None
    """A PEM file below the project folder: who signs the store's certificate, besides the authorities in the image."""

    @property
    def server(self) -> str:
        """The URL of the server that has the bucket."""
        scheme, _, host = self.endpoint.partition("://")
        return self.endpoint if self.path_style else f"{scheme}://{self.bucket}.{host}"


class Storage(Settings):
    """Where a registry's images are kept: on the host in a volume, unless `s3` says where else."""

    s3: S3 | None = None
    """The bucket; a volume on the host if absent."""


class Token(Settings):
    """Token auth: the registry sends clients to `realm` for a token, and takes those that a known key has signed.

    Format of the tokens: https://distribution.github.io/distribution/spec/auth/jwt/. A token names its key: by an `x5c`
    chain that ends at the certificate, or by a `kid`. For a certificate that is the thumbprint of its public key
    (RFC 7638, SHA-256, base64url); for a JWKS the `kid` of one of its keys. The algorithms RS, PS and ES 256 to 512
    and EdDSA are taken, none with a shared secret. An EC key of which a coordinate begins with a zero byte, one of 128,
    distribution 3.1.2 does not know by its thumbprint (it leaves the zeros out): have such a key in the JWKS, or
    tokens with its `x5c`.
    """

    realm: Annotated[str, matching(r"https?://[!#-\[\]-~]+", "the URL of the token server, as clients reach it")]
    """The URL of the token server, as clients reach it."""
    service: Printable
    """What the tokens are for: their `aud`."""
    issuer: Printable
    """Whose tokens count: their `iss`."""
    certificate: str | None = None
    """A PEM file below the project folder: the certificate whose key signs, or the authorities of such certificates."""
    jwks: str | None = None
    """A JSON Web Key Set below the project folder: public keys only, each with a `kid`."""


class BackendTls(Settings):
    """HTTPS between proxy and registry. The certificate's key is the secret `backend-tls-key-<name>`, `<name>` being
    the registry's."""

    certificate: str
    """A PEM file below the project folder: the registry's certificate, then who has signed it."""
    authority: str
    """A PEM file below the project folder: whom the proxy trusts to have signed it."""
    name: HostName
    """The name in the certificate that the proxy asks for: nginx does not compare addresses."""


class GarbageCollection(Settings):
    """Removes what no image uses any more, at times.

    Pulls go on. While something is being removed, which takes a few seconds, the proxy answers pushes and deletions
    with 503. What is tagged stays, and so does what a push may still need: whatever was pushed within `spare`.
    """

    schedule: Calendar
    """When, as a systemd OnCalendar expression in the host's time zone."""
    untagged: bool = False
    """Whether images go too that have lost their last tag and that no other image names."""
    spare: Duration = "24h"
    """How long what was pushed stays, used or not; longer than the slowest push."""


class HostedRegistry(Settings):
    """A registry to push to and pull from."""

    kind: Literal["hosted"]
    """To push to."""
    name: Name
    """What it is called in these settings."""
    host: Name
    """Where it runs, by its name in `hosts`."""
    port: Port = 5000
    """Port on the host; on 127.0.0.1 where the proxy stands before it, else on every address."""
    serves: RegistryName | None = None
    """The registry in whose place it stands, such as docker.io, as image references name it: an offline site has that
    one's images here, and its runtimes ask here for them. Where it asks for a login, each runtime needs one, as at a
    cache's endpoint with `login`."""
    replica_ports: tuple[Port, ...] = ()
    """A further container of the same registry for each port. They need `storage.s3`, and the secret
    `http-secret-<name>`, since an upload may go on at another one than where it began."""
    http_secret: bool = False
    """Whether its uploads may go on at containers of another host, as behind a standby proxy: then they need the secret
    `http-secret-<name>` even without replicas."""
    storage: Storage = Storage()
    """Where its images are kept."""
    keep_data: bool = True
    """Whether the volume with the images outlives `pulumi destroy`; a bucket always does."""
    token: Token | None = None
    """Who may do what is up to a token server; without it, it is up to the proxy."""
    tls: BackendTls | None = None
    """HTTPS between proxy and registry; HTTP on 127.0.0.1 if absent."""
    garbage_collection: GarbageCollection | None = None
    """Off if absent. It needs the proxy before the registry."""
    sparse_indexes: bool = False
    """Whether an image for several platforms may lack some of them, as bundles of some platforms do."""

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of its containers on the host."""
        return (self.port, *self.replica_ports)

    @property
    def shares_uploads(self) -> bool:
        """Whether an upload may go on at another container than where it began."""
        return bool(self.replica_ports) or self.http_secret

    @property
    def scheme(self) -> str:
        """What its containers speak: http or https."""
        return "https" if self.tls else "http"

    @property
    def authority(self) -> str | None:
        """The file with an authority that the registry itself must trust."""
        return self.storage.s3.authority if self.storage.s3 else None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets that go with it."""
        return (
            *((f"s3-access-key-{self.name}", f"s3-secret-key-{self.name}") if self.storage.s3 else ()),
            *((f"http-secret-{self.name}",) if self.shares_uploads else ()),
            *((f"backend-tls-key-{self.name}",) if self.tls else ()),
        )


class CacheRegistry(Settings):
    """A pull-through cache of one upstream registry. It can't be pushed to.

    Behind the proxy it is nginx's own cache; without a proxy it is a container of distribution.
    """

    kind: Literal["cache"]
    """A cache."""
    name: Name
    """What it is called in these settings."""
    host: Name
    """Where it runs, by its name in `hosts`."""
    port: Port = 5001
    """Port of the container on the host."""
    serves: RegistryName
    """The registry's name in image references, such as docker.io."""
    upstream: BaseUrl = ""
    """Where the blobs come from, such as https://registry-1.docker.io. Empty only until the outputs of `upstream_stack`
    are known."""
    upstream_stack: StackName | None = None
    """In place of `upstream`, the stack whose mirror of `serves`, or whose registry of that name, is the upstream, such
    as core or organization/http-registry/core. Its outputs say where, as whom, and who has signed
    (settings/upstream_stack.py)."""
    upstream_user: str | None = None
    """Login at the upstream; its password is the secret `upstream-password-<name>`. Of an `upstream_stack` its own
    user that may only pull, if absent."""
    authority: str | None = None
    """A PEM file below the project folder: who signs the upstream's certificate, besides the authorities in the
    image. Of an `upstream_stack` what it says itself, if absent."""
    keep: Duration = "168h"
    """How long the container keeps a blob before it is fetched anew; distribution's own default. Of the proxy's cache
    `proxy.cache` says it."""

    @model_validator(mode="after")
    def _one_upstream(self) -> Self:
        if bool(self.upstream) == bool(self.upstream_stack):
            raise ValueError("must have upstream or upstream_stack, and not both; add or remove one")
        return self

    @property
    def ports(self) -> tuple[int, ...]:
        """The port of its container on the host."""
        return (self.port,)

    @property
    def scheme(self) -> str:
        """What its container speaks."""
        return "http"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets that go with it."""
        return (f"upstream-password-{self.name}",) if self.upstream_user else ()


Registry = Annotated[HostedRegistry | CacheRegistry, Field(discriminator="kind")]
