"""Puts what is pulled into the bench's registry and into the folder of the static files, under the same paths.

Reads `{"mirror": url, "registry": url, "www": folder, "big": repository, "small": repository, "paths": file}` from
stdin: the largest layer of the mirror's `<big>:1`, and 500 images of a configuration and a manifest of a few kilobytes.
Prints the layer's path and size.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

IMAGES = 500
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


def ask(base: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[bytes, str]:
    """The body and the Location of a good answer."""
    parts = urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=60)
    connection.request(method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    if answer.status >= 300:
        raise SystemExit(f"content: {method} {base}{path}: status {answer.status}")
    return said, answer.headers.get("Location") or ""


def digest(content: bytes) -> str:
    """As registries name it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def push_blob(registry: str, repository: str, content: bytes) -> str:
    """Returns its path."""
    _, place = ask(registry, "POST", f"/v2/{repository}/blobs/uploads/")
    parts = urlsplit(place)
    target = f"{parts.path}?{parts.query}&digest={digest(content)}"
    ask(registry, "PUT", target, content, Content_Type="application/octet-stream")
    return f"/v2/{repository}/blobs/{digest(content)}"


def keep(www: str, path: str, content: bytes) -> str:
    """A static file; returns its path."""
    place = Path(www + path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return path


def big(mirror: str, registry: str, www: str, repository: str) -> tuple[str, int]:
    """The path and the size of the layer."""
    layers = json.loads(ask(mirror, "GET", f"/v2/{repository}/manifests/1")[0])["layers"]
    layer = max(layers, key=lambda each: each["size"])
    path = f"/v2/{repository}/blobs/{layer['digest']}"
    content, _ = ask(mirror, "GET", path)
    if digest(content) != layer["digest"]:
        raise SystemExit("content: the mirror's layer has another digest")
    push_blob(registry, repository, content)
    keep(www, path, content)
    return path, len(content)


def small(registry: str, www: str, repository: str) -> list[str]:
    """The paths of the small things."""
    paths = []
    for number in range(IMAGES):
        config = json.dumps(
            {"architecture": "amd64", "os": "linux", "noise": os.urandom(512 * (1 + number % 16)).hex()}
        )
        content = config.encode()
        paths.append(keep(www, push_blob(registry, repository, content), content))
        described = {"mediaType": CONFIG, "digest": digest(content), "size": len(content)}
        notes = {"noise": os.urandom(512).hex()}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": [], "annotations": notes}
        content = json.dumps(manifest).encode()
        path = f"/v2/{repository}/manifests/{digest(content)}"
        ask(registry, "PUT", path, content, Content_Type=MANIFEST)
        paths.append(keep(www, path, content))
    return paths


if __name__ == "__main__":
    job = json.load(sys.stdin)
    path, size = big(job["mirror"], job["registry"], job["www"], job["big"])
    Path(job["paths"]).write_text("".join(f"{each}\n" for each in small(job["registry"], job["www"], job["small"])))
    print(json.dumps({"path": path, "size": size}))
