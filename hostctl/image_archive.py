"""Which image a `docker save` archive holds.

Its manifest.json names the image's tags and its configuration, whose SHA-256 is the image's id (moby image/tarexport);
with the containerd image store the id is the digest in index.json.
"""

from __future__ import annotations

import gzip
import json
import lzma
import tarfile
import zlib
from pathlib import Path
from typing import Any, Mapping, Set

from hostctl.errors import HostError

LARGEST = 16 << 20
"""Bytes of a document in an archive that are read."""


def tagged(image: str) -> str:
    """A reference with its tag, which is `latest` where it has none."""
    return image if ":" in image.rsplit("/", 1)[-1] else image + ":latest"


def ids_in(file: Path, archive: str, image: str) -> Set[str]:
    """The ids that an engine may give the image. `archive`: what errors call the file. Raises HostError."""
    try:
        with tarfile.open(file) as opened:
            names = set(opened.getnames())
            entries = _json_member(opened, "manifest.json", archive)
            index = _json_member(opened, "index.json", archive) if "index.json" in names else {}
    except FileNotFoundError as missing:
        raise HostError(
            f"{archive}: there is no such file on this host; copy the image archive there first"
        ) from missing
    except (tarfile.TarError, EOFError, ValueError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as broken:
        raise HostError(f"{archive}: is not a whole tar archive ({broken}); copy it again") from broken
    try:
        return _ids(entries, index, names, archive, image)
    except (KeyError, TypeError, AttributeError) as odd:
        raise HostError(f"{archive}: is none that 'docker save' has made ({odd}); make it with that") from odd


def _ids(entries: Any, index: Any, names: Set[str], archive: str, image: str) -> Set[str]:
    """The ids, by the documents of an archive. Raises KeyError, TypeError, AttributeError for other documents."""
    found = [entry for entry in entries if image in (entry.get("RepoTags") or [])]
    if not found:
        held = sorted(tag for entry in entries for tag in entry.get("RepoTags") or [])
        raise HostError(f"{archive}: does not hold {image}, only {', '.join(held) or 'images without a name'}")
    lacking = [each for each in found[0].get("Layers") or [] if each not in names]
    if lacking:  # an engine with the containerd image store would take it, and start no container of it
        raise HostError(f"{archive}: is not whole: it lacks the layer {lacking[0]}; copy it again")
    config = found[0]["Config"].rsplit("/", 1)[-1]
    ids = {"sha256:" + (config[: -len(".json")] if config.endswith(".json") else config)}
    return ids | {str(each["digest"]) for each in index.get("manifests") or [] if _names(each, image)}


def _names(entry: Mapping[str, Any], image: str) -> bool:
    name = (entry.get("annotations") or {}).get("io.containerd.image.name", "")
    return bool(name == image or name.endswith("/" + image))


def _json_member(file: tarfile.TarFile, name: str, archive: str) -> Any:
    try:
        member = file.extractfile(name)
        return json.loads(member.read(LARGEST)) if member else {}
    except (KeyError, ValueError, RecursionError) as broken:
        raise HostError(f"{archive}: has no readable {name}; make it with 'docker save'") from broken
