"""A peer-to-peer program's endpoint as Spegel is documented to be; runs on a host, with Python 3.11 and nothing else.

`python3 peer_on_host.py PORT FOLDER SOURCE IMAGE...`: other hosts have the images (repository:tag), which it takes from
SOURCE, a registry, first. A request says by `ns` whose image it wants. FOLDER/mode: `has` them, `lacks` them (404),
`hangs` (takes the connection, and says nothing), `breaks` off in the middle of a blob; `fetches`: as Dragonfly, which
answers for tags as well, and without `ns`. FOLDER/log: a line a request, as JSON. Source:
spegel-org/spegel, pkg/registry/registry.go and docs/FAQ.md.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs, urlsplit

PORT, FOLDER, SOURCE = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
RESOLVING = 0.02
"""Seconds for which Spegel looks for a peer that has it, by its default."""
Content = tuple[str, bytes]
held: dict[str, Content] = {}
tags: dict[str, str] = {}
"""Digests by a manifest's path."""
writing = Lock()


def take(repository: str, reference: str) -> None:
    """An image, and all that it names."""
    asked = urllib.request.Request(
        f"{SOURCE}/v2/{repository}/manifests/{reference}", headers={"Accept": ", ".join(KINDS)}
    )
    with urllib.request.urlopen(asked) as answer:
        content, digest, kind = answer.read(), answer.headers["Docker-Content-Digest"], answer.headers["Content-Type"]
    held[digest] = (kind, content)
    tags[f"/v2/{repository}/manifests/{reference}"] = digest
    document = json.loads(content)
    for each in document.get("manifests", []):
        take(repository, each["digest"])
    for each in [*document.get("layers", []), *([document["config"]] if "config" in document else [])]:
        with urllib.request.urlopen(f"{SOURCE}/v2/{repository}/blobs/{each['digest']}") as answer:
            held[each["digest"]] = ("application/octet-stream", answer.read())


class Peer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        mode = (FOLDER / "mode").read_text().strip()
        url = urlsplit(self.path)
        namespace = parse_qs(url.query).get("ns", [""])[0]
        self.log(url.path, namespace)
        if mode == "hangs":
            time.sleep(600)
        if url.path.rstrip("/") == "/v2":
            return self.answer(200, "text/plain", b"")
        time.sleep(RESOLVING)
        fetches = mode == "fetches" or (mode == "breaks" and not namespace)
        digest = tags.get(url.path, "") if fetches else ""
        digest = digest or url.path.rpartition("/")[2]
        if mode == "lacks" or digest not in held or not (namespace or fetches):
            return self.answer(404, "text/plain", b"")
        self.answer(200, *held[digest], digest, broken=mode == "breaks" and "/blobs/" in url.path)

    do_HEAD = do_GET

    def answer(self, status: int, kind: str, content: bytes, digest: str = "", *, broken: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[: len(content) // 2] if broken else content)
        if broken:
            self.close_connection = True

    def log(self, path: str, namespace: str) -> None:
        entry = {
            "at": time.time(),
            "method": self.command,
            "path": path,
            "ns": namespace,
            "headers": dict(self.headers),
        }
        with writing, (FOLDER / "log").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def log_message(self, *_: object) -> None:
        pass


for image in sys.argv[4:]:
    take(*image.rsplit(":", 1))
print(len(held), flush=True)
ThreadingHTTPServer(("0.0.0.0", PORT), Peer).serve_forever()
