"""Copies by skopeo(1), from a registry into the bundle and out of it."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Dict, Iterator, List, Mapping
from urllib.parse import urlsplit

from offline_sync.failure import Failure
from offline_sync.serving import REPOSITORY, Server

POLICY = Path("/etc/containers/policy.json")
RETRIES = 3


@dataclass(frozen=True)
class Remote:
    """A registry as skopeo reaches it. `certificates`: a folder with the authority's, or empty."""

    server: str
    plain: bool
    certificates: str = ""

    def options(self, end: str) -> List[str]:
        """For its end of a copy, `src` or `dest`."""
        return [
            *([f"--{end}-tls-verify=false"] if self.plain else []),
            *([f"--{end}-cert-dir={self.certificates}"] if self.certificates else []),
        ]


class Skopeo:
    """What it needs, in a folder that goes with the command: logins, authorities. No secret is on a command line."""

    def __init__(self, folder: Path, server: Server, logins: Mapping[str, str]) -> None:
        self._folder = folder
        self._server = server
        self._auth = folder / "auth.json"
        auths = {name: {"auth": each} for name, each in {**logins, server.address: server.login}.items()}
        with open(os.open(self._auth, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"auths": auths}, file)

    def remote(self, url: str, ca: str) -> Remote:
        """Of scheme, host and port, and PEM."""
        parts = urlsplit(url)
        folder = ""
        if ca:
            place = self._folder / f"certificates-{parts.netloc.replace(':', '-')}"
            place.mkdir(exist_ok=True)
            (place / "ca.crt").write_text(ca)
            folder = str(place)
        return Remote(parts.netloc, parts.scheme == "http", folder)

    def fetch(self, remote: Remote, repository: str, digest: str, *, alone: bool) -> None:
        """Into the bundle. `alone`: of an index nothing but itself."""
        # A policy of the host's own decides what may come in.
        anything = not POLICY.exists()
        ours = Remote(self._server.address, plain=True)
        self._copy(remote, repository, ours, REPOSITORY, digest, alone, anything)

    def send(self, remote: Remote, repository: str, digest: str) -> None:
        """Out of the bundle."""
        ours = Remote(self._server.address, plain=True)
        self._copy(ours, REPOSITORY, remote, repository, digest, False, True)

    def _copy(
        self, source: Remote, from_: str, target: Remote, to: str, digest: str, alone: bool, anything: bool
    ) -> None:
        command = [
            "skopeo",
            *(["--insecure-policy"] if anything else []),
            "copy",
            "--multi-arch=index-only" if alone else "--all",
            "--preserve-digests",
            "--remove-signatures",
            f"--retry-times={RETRIES}",
            f"--authfile={self._auth}",
            *source.options("src"),
            *target.options("dest"),
            f"docker://{source.server}/{from_}@{digest}",
            f"docker://{target.server}/{to}@{digest}",
        ]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=self._environment()
            )
        except FileNotFoundError:
            raise Failure("skopeo: is not installed on this host (Debian: apt-get install skopeo)") from None
        if done.returncode != 0:
            raise Failure(f"{to if source.server == self._server.address else from_}@{digest}: {_said(done.stderr)}")

    def _environment(self) -> Dict[str, str]:
        """Its cache of where blobs are would outlive the command, below /var/lib/containers for root; so it is told
        to keep it as any user's, in the folder."""
        kept = {name: each for name, each in os.environ.items() if name.lower().endswith("_proxy") or name == "PATH"}
        return {
            **kept,
            "HOME": str(self._folder),
            "XDG_DATA_HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            "_CONTAINERS_ROOTLESS_UID": "1",
        }


@contextmanager
def ready(server: Server, logins: Mapping[str, str]) -> Iterator[Skopeo]:
    """skopeo beside the bundle's server. `logins`: base64 of user and password by host and port."""
    with TemporaryDirectory(prefix="http-registry-offline-") as folder:
        yield Skopeo(Path(folder), server, logins)


def _said(text: str) -> str:
    """The end of what it logged: `time="…" level=fatal msg="…"`."""
    lines = [line for line in text.strip().splitlines() if line]
    last = lines[-1] if lines else "skopeo failed without a word"
    message = last.partition(' msg="')[2].rstrip('"') or last
    return message.replace('\\"', '"')
