"""A registry that does one thing wrong; runs on a host, with Python 3.11 and nothing else.

`python3 bad_registry.py PORT FAULT [CERTIFICATE [TLS]]`: without a certificate it speaks HTTP; TLS: 1.1 for the
newest version that it knows, or mutual: it wants the client's certificate. What it does right it does by https://github.com/opencontainers/distribution-spec.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import ssl
import struct
import sys
import tarfile
import time
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

INDEX, MANIFEST = "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"
BINARY = "application/octet-stream"
Answer = tuple[int, dict[str, str], bytes]
REFUSED: dict[str, tuple[int, str, str]] = {
    "login": (401, "UNAUTHORIZED", "authentication required"),
    "token": (401, "UNAUTHORIZED", "authentication required"),
    "denied": (403, "DENIED", "requested access to the resource is denied"),
    "too many": (429, "TOOMANYREQUESTS", "You have reached your pull rate limit."),
    "no repository": (404, "NAME_UNKNOWN", "repository name not known to registry"),
    "no manifest": (404, "MANIFEST_UNKNOWN", "manifest unknown"),
    "down": (503, "UNAVAILABLE", "service unavailable"),
}
"""Status, code and message of the answers to anything but `/v2/`, but for the first two, which say it there too."""


def digest(content: bytes) -> str:
    """As the registry API has it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Image:
    """A small image for one architecture, or an index of it."""

    def __init__(self, architecture: str) -> None:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            content = b"bad registry of the lab\n" * 1000
            entry = tarfile.TarInfo("file")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        self.layer = file.getvalue()
        config = {"architecture": architecture, "os": "linux", "config": {}}
        self.config = json.dumps({**config, "rootfs": {"type": "layers", "diff_ids": [digest(self.layer)]}}).encode()
        layer = self._named("application/vnd.oci.image.layer.v1.tar", self.layer)
        named = self._named("application/vnd.oci.image.config.v1+json", self.config)
        head = {"schemaVersion": 2, "mediaType": MANIFEST}
        self.manifest = json.dumps({**head, "config": named, "layers": [layer]}).encode()
        platform = {"platform": {"architecture": architecture, "os": "linux"}}
        manifests = [{**self._named(MANIFEST, self.manifest), **platform}]
        self.index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()
        self.objects = {digest(each): each for each in (self.layer, self.config, self.manifest, self.index)}

    def _named(self, kind: str, content: bytes) -> dict[str, Any]:
        return {"mediaType": kind, "digest": digest(content), "size": len(content)}


class Handler(BaseHTTPRequestHandler):
    """`does` names the fault."""

    protocol_version = "HTTP/1.1"

    def __init__(self, does: str, realm: str, *arguments: Any) -> None:
        self.does, self.realm = does, realm
        self.image = Image("s390x" if does == "other platform" else "amd64")
        super().__init__(*arguments)

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        if self.does == "hangs":
            time.sleep(60)
        if self.does in ("resets", "hangs"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # without a FIN first
            self.close_connection = True
            return
        status, headers, body = self._answer()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        short = self.does == "cut short" and "/blobs/" in self.path and body == self.image.layer
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[: len(body) // 2] if short else body)
            self.close_connection = self.close_connection or short

    do_HEAD = do_GET

    def _answer(self) -> Answer:
        ping = self.path == "/v2/"
        if self.does == "no registry":
            return 200 if ping else 404, {"Content-Type": "text/html"}, b"<html><body>It works!</body></html>\n"
        if self.does in REFUSED and (not ping or REFUSED[self.does][0] == 401):
            status, code, message = REFUSED[self.does]
            headers = {"Content-Type": "application/json"}
            if status == 401:
                basic = 'Basic realm="bad registry"'
                headers["WWW-Authenticate"] = (
                    basic if self.does == "login" else f'Bearer realm="{self.realm}",service="bad"'
                )
            return status, headers, json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        if ping:
            return 200, {"Content-Type": "application/json"}, b"{}"
        reference = self.path.partition("?")[0].rpartition("/")[2]
        if "/manifests/" in self.path:
            content = self.image.objects.get(reference, self.image.index)
            kind = json.loads(content).get("mediaType", MANIFEST)
            return 200, {"Content-Type": kind, "Docker-Content-Digest": digest(content)}, content
        layer = reference == digest(self.image.layer)
        if self.does == "no blob" and layer:
            body = b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}'
            return 404, {"Content-Type": "application/json"}, body
        content = self.image.objects[reference]
        if self.does == "other bytes" and layer:
            content = content[:-1] + b"!"
        return 200, {"Content-Type": BINARY, "Docker-Content-Digest": reference}, content


class Server(ThreadingHTTPServer):
    """With TLS where it has a certificate; a failed handshake is the client's affair."""

    daemon_threads = True
    context: ssl.SSLContext | None = None

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        if self.context:
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Whom it refuses for want of a certificate is read to the end: who closes before resets, and the alert is
        lost."""
        if self.context and self.context.verify_mode == ssl.CERT_REQUIRED:
            with suppress(OSError), socket.socket(fileno=request.detach()) as plain:
                plain.settimeout(2)
                plain.shutdown(socket.SHUT_WR)
                while plain.recv(4096):
                    pass
        else:
            super().shutdown_request(request)

    def handle_error(self, *arguments: Any) -> None:
        """Nothing."""


def serve(port: str, does: str, certificate: str = "", tls: str = "") -> None:
    """For good. Tokens are to be had at a port where nobody listens."""
    server = Server(("0.0.0.0", int(port)), partial(Handler, does, "http://192.168.1.10:6199/token"))
    if certificate:
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(certificate)
        if tls == "1.1":
            server.context.minimum_version = ssl.TLSVersion.TLSv1
            server.context.maximum_version = ssl.TLSVersion.TLSv1_1
            server.context.set_ciphers("ALL:@SECLEVEL=0")
        if tls == "mutual":
            server.context.verify_mode = ssl.CERT_REQUIRED
            server.context.load_verify_locations(certificate)
    server.serve_forever()


if __name__ == "__main__":
    serve(*sys.argv[1:])
