"""What manifests name. Pure: bytes in, descriptors out.

Formats: https://github.com/opencontainers/image-spec (manifest.md, image-index.md), and Docker's version 2, schema 2.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from offline_sync.failure import Failure

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
KINDS = (INDEX, MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
LISTS = ("config", "layers", "manifests")
"""The keys of a manifest that name its parts."""
PROOF_OF = "vnd.docker.reference.digest"
"""The annotation by which BuildKit says, in an index, of which image an attestation is."""


@dataclass(frozen=True)
class Part:
    """What a manifest names. `manifest`: whether it is one itself. `elsewhere`: whether a registry need not have it."""

    digest: str
    size: int
    manifest: bool = False
    elsewhere: bool = False


def digest_of(content: bytes) -> str:
    """Its name by content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def read(content: bytes) -> Mapping[str, Any]:
    """A manifest. Raises Failure."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Failure(f"{digest_of(content)}: is named as a manifest, but is no JSON object")
    odd = [key for key in data if key not in LISTS and key.casefold() in LISTS]
    if odd:
        raise Failure(f"{digest_of(content)}: has a key {odd[0]!r}, which only some read; push the image anew")
    return data


def kind_of(content: bytes) -> str:
    """Its media type; by its keys where it does not say, as OCI allows. Raises Failure for what can't be carried."""
    data = read(content)
    kind = data.get("mediaType") or (INDEX if "manifests" in data else MANIFEST if "config" in data else "")
    if kind not in KINDS:
        raise Failure(
            f"{digest_of(content)}: is a manifest of the type {kind or 'schema 1'}, which can't keep its digest; "
            "push the image anew with a current tool"
        )
    return str(kind)


def is_index(content: bytes) -> bool:
    """Whether it names manifests."""
    return kind_of(content) in (INDEX, DOCKER_LIST)


def parts(content: bytes, platforms: Optional[Sequence[str]] = None) -> List[Part]:
    """What is needed of what it names. `platforms`: of an index only what is for these, with its attestations."""
    data = read(content)
    if is_index(content):
        return [_part(each, manifest=True) for each in _chosen(_listed(data, "manifests"), platforms)]
    config = data.get("config")
    found = [*([config] if isinstance(config, dict) else []), *_listed(data, "layers")]
    return [_part(each) for each in found]


def left_out(content: bytes, platforms: Optional[Sequence[str]]) -> List[str]:
    """The platforms of an index that are not chosen."""
    if platforms is None or not is_index(content):
        return []
    listed = _listed(read(content), "manifests")
    chosen = [each.get("digest") for each in _chosen(listed, platforms)]
    return [_shown(each) for each in listed if each.get("digest") not in chosen]


def needed(get: Any, digest: str, platforms: Optional[Sequence[str]] = None) -> Tuple[Dict[str, int], Dict[str, int]]:
    """All manifests and all blobs of an image, by digest, with their sizes. `get`: a manifest's bytes by its digest."""
    manifests: Dict[str, int] = {}
    blobs: Dict[str, int] = {}
    waiting = [digest]
    while waiting:
        current = waiting.pop()
        if current in manifests:
            continue
        content = get(current)
        manifests[current] = len(content)
        for each in parts(content, platforms):
            if each.manifest:
                waiting.append(each.digest)
            elif not each.elsewhere:
                blobs[each.digest] = each.size
    return manifests, blobs


def index_of(descriptors: Iterable[Mapping[str, Any]]) -> bytes:
    """An index of what refers to an image, for registries that don't find that themselves (distribution-spec,
    "Referrers Tag Schema")."""
    whole = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(descriptors)}
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()


def _listed(data: Mapping[str, Any], key: str) -> List[Mapping[str, Any]]:
    found = data.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _part(each: Mapping[str, Any], manifest: bool = False) -> Part:
    digest, size = each.get("digest"), each.get("size")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest) or type(size) is not int or size < 0:
        raise Failure(f"a manifest names {digest!r} of size {size!r}, which is no sha256 digest with a size")
    return Part(digest, size, manifest, elsewhere=bool(each.get("urls")))


def _chosen(listed: List[Mapping[str, Any]], platforms: Optional[Sequence[str]]) -> List[Mapping[str, Any]]:
    if platforms is None:
        return listed
    chosen = [each for each in listed if any(_is_for(each, platform) for platform in platforms)]
    digests = [each.get("digest") for each in chosen]
    proofs = [each for each in listed if _object(each, "annotations").get(PROOF_OF) in digests]
    return [*chosen, *(each for each in proofs if each not in chosen)]


def _object(each: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = each.get(key)
    return found if isinstance(found, dict) else {}


def _is_for(each: Mapping[str, Any], platform: str) -> bool:
    given = _object(each, "platform")
    system, architecture, *variant = platform.split("/")
    return (given.get("os"), given.get("architecture")) == (system, architecture) and (
        not variant or given.get("variant") == variant[0]
    )


def _shown(each: Mapping[str, Any]) -> str:
    given = _object(each, "platform")
    names = [given.get(key) for key in ("os", "architecture", "variant")]
    return "/".join(str(name) for name in names if name) or "?"
