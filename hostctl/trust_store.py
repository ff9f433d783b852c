"""The host's own store of trusted authorities: where it takes more from, what updates it, which bundle comes out.

Debian: update-ca-certificates(8). Without --fresh it leaves the links of what has gone, and those by hash of what has
changed; where it was cut off, the next one adds to the half bundle that it has left. Fedora and RHEL:
update-ca-trust(8). SUSE: update-ca-certificates(8) of another make, with the same --fresh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Optional, Set, Tuple

from hostctl import certificates, files
from hostctl.errors import HostError
from hostctl.host import Host

PREFIX = "http-registry-"
"""What the names of our files among those of others begin with."""
UPDATE_PATIENCE = 300.0
"""Seconds that the update may take: packages hook into it, such as Java's with a keystore of its own."""


@dataclass(frozen=True)
class TrustStore:
    """One family's store. `mark`: a folder that tells the family; `fresh`: the option to start over.

    `half`: the bundle while it is being made.
    """

    mark: str
    folder: str
    suffix: str
    program: Tuple[str, ...]
    fresh: Tuple[str, ...]
    bundle: str
    half: Optional[str] = None

    def path(self, authority: str, index: int) -> str:
        """The file of one of an authority's certificates: OpenSSL's folder of hashes takes one a file only."""
        number = f".{index + 1}" if index else ""
        return f"{self.folder}/{PREFIX}{authority}{number}{self.suffix}"

    def keeps(self, path: str) -> bool:
        """Whether a file of ours is one of this store's."""
        return path.startswith(f"{self.folder}/{PREFIX}")

    def is_on(self, host: Host) -> bool:
        """Whether the host has this store."""
        return host.path(self.mark).is_dir() and host.has(self.program[0])

    def update(self, host: Host, fresh: bool) -> None:
        """Make the bundle anew; `fresh` where a file has changed or gone.

        Under a lock that the program itself holds: one that has outlived its hostctl is waited for, since two beside
        each other make half a bundle each.
        """
        alone = ("flock", str(host.path(self.mark)))
        if self.half is not None:
            host.must(*alone, "rm", "-f", str(host.path(self.half)), timeout=UPDATE_PATIENCE)
        host.must(*alone, *self.program, *(self.fresh if fresh else ()), timeout=UPDATE_PATIENCE)

    def held(self, host: Host) -> Set[bytes]:
        """The certificates (DER) that the host trusts."""
        bundle = files.read(host.path(self.bundle))
        return certificates.held(bundle.content) if bundle else set()


SUSE = TrustStore(
    mark="/etc/pki/trust/anchors",
    folder="/etc/pki/trust/anchors",
    suffix=".pem",
    program=("update-ca-certificates",),
    fresh=("--fresh",),
    bundle="/var/lib/ca-certificates/ca-bundle.pem",
)
RED_HAT = TrustStore(
    mark="/etc/pki/ca-trust/source/anchors",
    folder="/etc/pki/ca-trust/source/anchors",
    suffix=".pem",
    program=("update-ca-trust", "extract"),
    fresh=(),
    bundle="/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
)
DEBIAN = TrustStore(
    mark="/etc/ca-certificates",
    folder="/usr/local/share/ca-certificates",
    suffix=".crt",
    program=("update-ca-certificates",),
    fresh=("--fresh",),
    bundle="/etc/ssl/certs/ca-certificates.crt",
    half="/etc/ssl/certs/ca-certificates.crt.new",
)
STORES = (SUSE, RED_HAT, DEBIAN)
"""The first that is on a host is its own: SUSE has Debian's mark as well."""


def store_on(host: Host) -> TrustStore:
    """The host's store. Raises HostError where there is none that we know."""
    found = next((each for each in STORES if each.is_on(host)), None)
    if found is None:
        raise HostError(
            "the system's trusted authorities: this host has neither update-ca-certificates nor update-ca-trust with "
            "the folders that we know; install ca-certificates, or say `system: false` for the authority"
        )
    return found


def store_of(paths: Iterable[str]) -> Optional[TrustStore]:
    """The store that some of these files are in, or None."""
    return next((store for path in paths for store in STORES if store.keeps(path)), None)
