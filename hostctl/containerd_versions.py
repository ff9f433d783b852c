"""Which containerd reads what in config.toml.

Sources: RELEASES.md and docs/cri/config.md; `configMigration` in plugins/cri/images (v2.4.2) takes `registry` and
`max_concurrent_downloads` from the table of version 2; CheckLocalImagePullConfigs in internal/cri/config (from 2.1 on)
leaves the transfer service where the latter is there, so it is written for the transfer service in every version.
`level` is read from [debug] up to 2.4.2: plugins."io.containerd.server.v1.debug" has only the socket's address. The
metrics' address is in [metrics] of versions 2 and 3, and in a plugin's table of version 4 alone (2.4.2: [metrics] there
is read by nobody).
"""

from __future__ import annotations

import re
from typing import NamedTuple, Sequence, Tuple

from hostctl.errors import HostError

PATH = "/etc/containerd/config.toml"
CRI = "io.containerd.grpc.v1.cri"
IMAGES = "io.containerd.cri.v1.images"
RUNTIME = "io.containerd.cri.v1.runtime"
TRANSFER = "io.containerd.transfer.v1.local"
METRICS = "io.containerd.server.v1.metrics"
DEBUG_LEVEL = ("debug", "level")

NEWEST = (2, 4)
"""The newest containerd that this was tried with."""


class Dialect(NamedTuple):
    """Where a containerd looks in a config.toml of one version."""

    version: int
    registry: Tuple[str, ...]
    downloads: Tuple[str, ...]
    metrics: Tuple[str, ...]

    @property
    def cri(self) -> Tuple[str, ...]:
        """The CRI's own table."""
        return self.registry[:-1]


class Release(NamedTuple):
    """The containerds from one minor version on."""

    since: Tuple[int, int]
    dialects: Tuple[Dialect, ...]
    """Of the versions that it reads, without version 1; its own comes last."""
    plugins: Tuple[str, ...]
    """What must have loaded for images to be pulled through hosts.toml."""

    @property
    def own(self) -> Dialect:
        """Of the version that it makes, and shows in `config dump`."""
        return self.dialects[-1]

    @property
    def transfers(self) -> bool:
        """Whether the transfer service pulls images, which takes `config_path` for one folder, never for a list."""
        return self.own.downloads[-1] == TRANSFER


def _dialect(version: int, cri: str, downloads: str) -> Dialect:
    metrics = ("metrics",) if version < 4 else ("plugins", METRICS)
    return Dialect(version, ("plugins", cri, "registry"), ("plugins", downloads), metrics)


RELEASES = (
    Release((1, 6), (_dialect(2, CRI, CRI),), (CRI,)),
    Release((2, 0), (_dialect(2, CRI, CRI), _dialect(3, IMAGES, IMAGES)), (IMAGES, RUNTIME, CRI)),
    Release((2, 1), (_dialect(2, CRI, TRANSFER), _dialect(3, IMAGES, TRANSFER)), (IMAGES, RUNTIME, CRI)),
    Release(
        (2, 3),
        (_dialect(2, CRI, TRANSFER), _dialect(3, IMAGES, TRANSFER), _dialect(4, IMAGES, TRANSFER)),
        (IMAGES, RUNTIME, CRI),
    ),
)


def number(printed: str) -> Tuple[int, int]:
    """Major and minor of what `containerd --version` prints. Raises HostError where there is none."""
    found = re.search(r"\sv?(\d+)\.(\d+)\.", printed)
    if found is None:
        raise HostError(f"containerd --version: no version in {printed.strip()!r}")
    return int(found.group(1)), int(found.group(2))


def release(version: Tuple[int, int]) -> Release:
    """The release that a version belongs to; one that is newer than all is taken for the newest.

    Raises HostError for one that is too old.
    """
    for each in reversed(RELEASES):
        if version >= each.since:
            return each
    oldest = ".".join(map(str, RELEASES[0].since))
    raise HostError(f"containerd {version[0]}.{version[1]} is not supported; upgrade it to {oldest} or newer")


def config_file(arguments: Sequence[str]) -> str:
    """The config.toml that a containerd started with these arguments reads."""
    for argument, following in zip(arguments, [*arguments[1:], ""]):
        name, equals, value = argument.partition("=")
        if name in ("-c", "--config", "-config"):
            return value if equals else following
    return PATH
