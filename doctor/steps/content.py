"""The content: the manifest for this host's platform, and every blob that it names.

Formats: github.com/opencontainers/image-spec, and Docker's manifests of schema 2, which read the same.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import platform
import time
from typing import Any, Dict, List, Optional, Tuple

from doctor.failures import named
from doctor.finding import Seen
from doctor.http_client import Answer, Unanswered, streamed
from doctor.steps.access import error, let_in, refused, words
from doctor.steps.tls import place
from doctor.walk import Walk

BUDGET = 2.0
"""Seconds in which blobs are read to their end, the small ones first; of those behind it only the size is looked at."""
ARCHITECTURES = {
    "x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386", "i386": "386",
}  # fmt: skip
"""Go's names by the kernel's; the others are the same."""


def look(walk: Walk) -> Seen:
    """Fetch what a pull would fetch, as far as a few seconds go. Without an image there is nothing to fetch."""
    image = walk.pull.image
    if not image.repository:
        return walk.ok("content", "no image is asked for")
    manifest, broken = _manifest(walk, image.reference)
    if broken is None and "manifests" in manifest:
        manifest, broken = _of_this_platform(walk, manifest)
    if broken:
        return broken
    blobs = [each for each in [manifest.get("config"), *manifest.get("layers", [])] if each and not each.get("urls")]
    return _blobs(walk, sorted(blobs, key=lambda each: each["size"]))


def _manifest(walk: Walk, reference: str) -> Tuple[Dict[str, Any], Optional[Seen]]:
    path = _path(walk, "manifests", reference)
    answer, broken = let_in(walk, "content", path)
    if broken or answer is None:
        return {}, broken
    evidence = f"GET {answer.place.url}{path}: {answer.line}{words(answer)}"
    if answer.status != 200:
        return {}, walk.broken("content", _missing(answer), evidence)
    digest = reference if ":" in reference else answer.headers.get("Docker-Content-Digest", "")
    if digest.startswith("sha256:") and digest != _digest(answer.body):
        evidence = f"{evidence}: asked for {digest}, got {_digest(answer.body)}"
        return {}, walk.broken("content", "blob-digest-mismatch", evidence, digest=digest)
    manifest = image_manifest(answer.body)
    if manifest is None:
        kind = answer.headers.get("Content-Type", "nothing")
        return {}, walk.broken("content", "not-a-registry", f"{evidence}: the manifest is no image's: {kind}")
    walk.manifest = answer.body
    return manifest, None


def image_manifest(content: bytes) -> Optional[Dict[str, Any]]:
    """A manifest of an image or an index, each part with a digest and a size; None where it is none."""
    try:
        manifest = json.loads(content)
        listed = manifest.get("manifests", manifest.get("layers"))
        parts = [*listed, *([manifest["config"]] if manifest.get("config") else [])]
        good = all(_is_part(each) for each in parts)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return None
    return manifest if good and isinstance(listed, list) else None


def _is_part(each: Any) -> bool:
    sized = isinstance(each, dict) and isinstance(each.get("digest"), str) and type(each.get("size")) is int
    return sized and isinstance(each.get("platform") or {}, dict)


def _missing(answer: Answer) -> str:
    code, _ = error(answer)
    if not code:
        return "not-a-registry"
    return "repository-unknown" if code == "NAME_UNKNOWN" else "manifest-unknown"


def _of_this_platform(walk: Walk, index: Dict[str, Any]) -> Tuple[Dict[str, Any], Optional[Seen]]:
    here = ARCHITECTURES.get(platform.machine(), platform.machine())
    offered = [each.get("platform") or {} for each in index["manifests"]]
    for each, its in zip(index["manifests"], offered):
        if its.get("os") == "linux" and its.get("architecture") == here:
            return _manifest(walk, each["digest"])
    names = [f"{its.get('os')}/{its.get('architecture')}" for its in offered if its.get("os") not in (None, "unknown")]
    evidence = f"{walk.pull.image.name} is there for {', '.join(names) or 'nothing'}; this host is linux/{here}"
    return {}, walk.broken("content", "platform-missing", evidence, architecture=here)


def _blobs(walk: Walk, blobs: List[Dict[str, Any]]) -> Seen:
    until, whole = time.monotonic() + BUDGET, 0
    for blob in blobs:
        wrong, read = _blob(walk, blob["digest"], int(blob["size"]), until)
        if wrong:
            return wrong
        whole += read
    said = f"manifest and {len(blobs)} blobs are there"
    return walk.ok("content", said if whole == len(blobs) else f"{said}, {whole} of them read to the end")


def _blob(walk: Walk, digest: str, size: int, until: float) -> Tuple[Optional[Seen], bool]:
    """What is wrong with a blob, and whether it was read to its end."""
    path = _path(walk, "blobs", digest)
    evidence, got, hashed = f"GET {walk.endpoint.url}{path}", 0, hashlib.sha256()
    try:
        with streamed(place(walk), path, walk.headers) as (response, at):
            evidence = f"GET {at.url}{path}: {response.status} {response.reason}"
            if response.status != 200:
                return _no_blob(walk, Answer(response.status, response.reason, response.headers, b"", at), path), False
            length = response.headers.get("Content-Length", str(size))
            if length != str(size):
                return _cut(walk, f"{evidence}: {length} bytes, by the manifest {size}", digest), False
            try:
                while piece := response.read1(1 << 20):
                    got += len(piece)
                    hashed.update(piece)
                    if got < size and time.monotonic() > until:
                        return None, False
            except (OSError, http.client.HTTPException) as failure:
                return _cut(walk, f"{evidence}: {got} of {size} bytes, then {named(failure)[1]}", digest), False
    except Unanswered as none:
        cause, said = named(none.failure)
        return walk.broken("content", cause, f"GET {none.place.url}{path}: {said}", none.place.url), False
    if got < size:
        return _cut(walk, f"{evidence}: {got} of {size} bytes, then nothing", digest), False
    if digest.startswith("sha256:") and digest != f"sha256:{hashed.hexdigest()}":
        said = f"{evidence}: its content has the digest sha256:{hashed.hexdigest()}"
        return walk.broken("content", "blob-digest-mismatch", said, digest=digest), False
    return None, True


def _no_blob(walk: Walk, answer: Answer, path: str) -> Seen:
    missing = walk.broken("content", "blob-missing", f"GET {answer.place.url}{path}: {answer.line}")
    return refused(walk, answer, path) or missing


def _cut(walk: Walk, evidence: str, digest: str) -> Seen:
    return walk.broken("content", "blob-cut-short", evidence, digest=digest)


def _path(walk: Walk, kind: str, reference: str) -> str:
    namespace = f"?ns={walk.endpoint.namespace}" if walk.endpoint.namespace else ""
    return f"{walk.endpoint.prefix}/{walk.pull.image.repository}/{kind}/{reference}{namespace}"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
