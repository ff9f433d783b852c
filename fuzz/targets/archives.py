"""Files that travel: image archives of `docker save`, bundles, OCI layouts."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from pathlib import Path

from fuzz.target import Target, promised, texts
from hostctl import image_archive
from hostctl.errors import HostError
from offline_sync import bundle
from offline_sync.failure import Failure

IMAGE = "registry:3"


def run_saved(data: bytes) -> None:
    """A whole archive with these documents: manifest.json, a NUL, index.json."""
    manifest, _, index = data.partition(b"\0")
    run_archive(_tar({"manifest.json": manifest, **({"index.json": index} if index else {}), "l/layer.tar": b"x"}))


def run_archive(data: bytes) -> None:
    """A `docker save` archive: ids, or HostError."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with promised(HostError):
            assert image_archive.ids_in(Path(file.name), "archive", IMAGE)
    image_archive.tagged(data.decode(errors="replace"))


def run_bundle_json(data: bytes) -> None:
    """bundle.json with a sum that is right, as somebody makes it who means it: read, or Failure."""
    data = data.rstrip()[:-1].rstrip()
    whole = data + bundle._SUM + hashlib.sha256(data).hexdigest().encode() + b'"\n}\n'
    for text in (data, whole):
        with promised(Failure):
            read = bundle.parsed(text, "here")
            read.current()
            assert bundle.parsed(read.text(), "there") == read, "not read again as it was"
    with tempfile.TemporaryDirectory() as folder, promised(Failure):
        (Path(folder) / bundle.LIST).write_bytes(whole)
        files = bundle.opened(Path(folder))
        list(bundle.faults(files, bundle.listed(files)))


def run_bundle_tar(data: bytes) -> None:
    """A bundle as a tar: verified, or Failure; nothing outside of it is read."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with promised(Failure):
            files = bundle.opened(Path(file.name))
            list(bundle.faults(files, bundle.listed(files)))


def _tar(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()


SAVED = [{"Config": "blobs/sha256/" + "a" * 64, "RepoTags": [IMAGE], "Layers": ["l/layer.tar"]}]
INDEX = {
    "manifests": [
        {"digest": "sha256:" + "b" * 64, "annotations": {"io.containerd.image.name": "docker.io/library/registry:3"}}
    ]
}
SAVED_TEXT, INDEX_TEXT = json.dumps(SAVED).encode(), json.dumps(INDEX).encode()
ARCHIVE = _tar({"manifest.json": SAVED_TEXT, "index.json": INDEX_TEXT, "l/layer.tar": b"x"})
D = "sha256:" + "ab" * 32
BUNDLE = bundle.Bundle(
    (
        bundle.Image("docker.io", "library/app", "1", D, "", ("linux/amd64",)),
        bundle.Image("r.example", "a", "", D, "k", of=D, left=True),
    ),
    {D: 12},
    "2026-11-27T10:00:00Z",
    ("x: is not there",),
    "prod",
)
LISTED = BUNDLE.text()
KEYS = (
    "{",
    "}",
    "[",
    "]",
    '"',
    ":",
    ",",
    "null",
    "1",
    '"images"',
    '"blobs"',
    '"platforms"',
    '"left"',
    '"manifests"',
    "RepoTags",
    "Config",
)
TARGETS = (
    Target(
        "image-archive",
        run_archive,
        (ARCHIVE, ARCHIVE[:700], _tar({"manifest.json": b"[]"})),
        (*KEYS, "ustar", "manifest.json"),
    ),
    Target("image-archive-documents", run_saved, (SAVED_TEXT + b"\0" + INDEX_TEXT, SAVED_TEXT), KEYS),
    Target("bundle-json", run_bundle_json, (LISTED.rpartition(bundle._SUM)[0] + b"}",), KEYS),
    Target(
        "bundle-tar",
        run_bundle_tar,
        (_tar({bundle.LIST: LISTED, bundle.blob_name(D): b"{}"}), *texts("x")),
        (*KEYS, "ustar", bundle.LIST),
    ),
)
