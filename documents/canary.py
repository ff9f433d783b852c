"""The canary that a mirror's endpoint serves itself: a tiny image in OCI form, another one for each mirror.

Format: github.com/opencontainers/image-spec (index, manifest, config, layer). A runtime that pulls it and gets the
digest that we know has asked this very mirror.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from documents.document import Document
from documents.nginx_text import Directive, block, directive
from hostctl.canary import REPOSITORY, TAG
from hostctl.nginx_conf import OURS
from hostctl.unit import HEADER
from settings.tier import Tier

ARCHITECTURES = ("amd64", "arm64")
INDEX, MANIFEST = "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"
CONFIG, LAYER = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"
TYPES = {INDEX: "index", MANIFEST: "manifest", "application/octet-stream": "blob"}
"""What is answered for the files by their suffix."""


@dataclass(frozen=True)
class Canary:
    """`objects`: the files by their digests, each with its media type. `digest`: that of the index."""

    folder: str
    digest: str
    objects: Mapping[str, tuple[str, bytes]]

    @property
    def files(self) -> tuple[Document, ...]:
        """What nginx serves."""
        return tuple(
            Document(f"{self.folder}/{digest}.{TYPES.get(kind, 'blob')}", content.decode())
            for digest, (kind, content) in self.objects.items()
        )

    def locations(self, common: Sequence[Directive]) -> Iterable[Directive]:
        """The image by its tag and by its digests; no registry is asked. `common`: what each has besides."""
        types = block("types", body=[directive(kind, suffix) for kind, suffix in TYPES.items()])
        common = [*common, directive("root", self.folder), types, directive("open_file_cache", "max=16")]
        by_digest = [f"/$http_registry_canary.{suffix}" for suffix in TYPES.values()]
        yield block(
            "location",
            "=",
            f"/v2/{REPOSITORY}/manifests/{TAG}",
            body=[
                *common,
                directive("add_header", "Docker-Content-Digest", self.digest, "always"),
                directive("try_files", f"/{self.digest}.{TYPES[INDEX]}", "=404"),
            ],
        )
        yield block(
            "location",
            "~",
            f"^/v2/{REPOSITORY}/(manifests|blobs)/(?<http_registry_canary>sha256:[0-9a-f]+)$",
            body=[
                *common,
                directive("add_header", "Docker-Content-Digest", "$http_registry_canary", "always"),
                directive("try_files", *by_digest, "=404"),
            ],
        )


def canaries(tier: Tier) -> dict[str, Canary]:
    """Those of the mirrors behind the proxy, by the registry that they stand for: nobody else serves one."""
    behind = [each for each in tier.registries if tier.behind_proxy(each)]
    return {each.serves: render(each.name, tier.mirror(each)) for each in behind if each.serves}


def render(name: str, url: str) -> Canary:
    """The canary of the mirror at `url`; `name` is the registry's in the settings."""
    objects: dict[str, tuple[str, bytes]] = {}

    def put(kind: str, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        objects[digest] = (kind, content)
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    layer = put(LAYER, _layer(url))
    annotations = {"org.opencontainers.image.description": f"{HEADER} {url}"}
    manifests = []
    for architecture in ARCHITECTURES:
        platform = {"architecture": architecture, "os": "linux"}
        config = {
            **platform,
            "config": {"Labels": annotations},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        }
        manifest = {"config": put(CONFIG, _json(config)), "layers": [layer], "annotations": annotations}
        manifests.append({**put(MANIFEST, _json({**_head(MANIFEST), **manifest})), "platform": platform})
    index = put(INDEX, _json({**_head(INDEX), "manifests": manifests, "annotations": annotations}))
    return Canary(f"{OURS}/canary/{name}", index["digest"], objects)


def _head(kind: str) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": kind}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _layer(url: str) -> bytes:
    """A tar of one file, the same bytes each time."""
    content = f"{HEADER}\n{url}\n".encode()
    entry = tarfile.TarInfo("http-registry")
    entry.size = len(content)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
