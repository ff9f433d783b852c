"""Images that no cache has, on the hub and in the hosted registry, for as long as a test needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.services import PUSH_PORT
from tests.lab.hosts import must

CLIENT = (Path(__file__).parents[1] / "registry_client.py").read_text()
CACHES = "/var/cache/nginx/http-registry"
TAG = "1"


@dataclass(frozen=True)
class Source:
    """A registry as it is asked on its own host, around the proxy, and the volume that it keeps its data in."""

    host: str
    url: str
    volume: str

    @property
    def data(self) -> str:
        """The folder of blobs and repositories, in a shell there."""
        return f"$(docker volume inspect -f '{{{{.Mountpoint}}}}' {self.volume})/docker/registry/v2"


HUB = Source("hub", f"http://127.0.0.1:{PUSH_PORT}", "hub")
HOSTED = Source("registry", "http://127.0.0.1:5000", "http-registry-hosted")


@dataclass(frozen=True)
class Image:
    """The digests of an image with the tag `TAG`: its manifest, its configuration, its one layer."""

    manifest: str
    config: str
    layer: str


@contextmanager
def random_image(source: Source, repository: str, size: int) -> Iterator[Image]:
    """Push one with a layer of `size` bytes; afterwards nothing of it is left anywhere."""
    push = f"""
import os
client, config, layer = Client({source.url!r}), os.urandom(16), os.urandom({size})
print(*map(digest, (client.push({repository!r}, {TAG!r}, config, layer), config, layer)))
"""
    digests = must(source.host, "python3 -", f"{CLIENT}\n{push}").split()
    try:
        yield Image(*digests)
    finally:
        plain = [each.removeprefix("sha256:") for each in digests]
        blobs = " ".join(f"$data/blobs/sha256/{each[:2]}/{each}" for each in plain)
        must(source.host, f"data={source.data}; rm -r $data/repositories/{repository} {blobs}")
        forget(*digests)


def forget(*digests: str) -> None:
    """Take blobs and manifests out of nginx's caches, by the key that stands in each file.

    A file that is only removed is served for some seconds more, since nginx keeps it open; one without content is not.
    """
    named = " ".join(f"-e {each}" for each in digests)
    must("registry", f'grep -rlaF -m 1 {named} {CACHES} | xargs -r sh -c \'truncate -s 0 "$@"; rm "$@"\' sh')
