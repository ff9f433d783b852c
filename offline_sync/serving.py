"""A registry on 127.0.0.1 whose storage is a bundle, for skopeo to write to or read from while a command runs.

It keeps every manifest's bytes, so that digests stay, whatever their format. What is there already is not sent again,
which makes a run that was cut short go on where it was. Only who has its password is let in.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO, Dict, Iterator, Optional
from urllib.parse import parse_qs, urlsplit

from offline_sync import manifests
from offline_sync.bundle import PIECE, Files, Folder, blob_name
from offline_sync.failure import Failure
from offline_sync.registry import login

UPLOADS = "uploads"
"""The folder, in the bundle, of what is not whole yet."""
USER = "bundle"
REPOSITORY = "bundle"
"""There is one repository; every image is in it by its digest."""
BEAT = 5.0
"""Seconds between two lines that say how far it is."""


class Server(ThreadingHTTPServer):
    """`files`: the bundle; only a folder can be written. `moved`: bytes of blobs so far. `trouble`: why the bundle's
    own disk has refused something, empty while it has not."""

    daemon_threads = True

    def __init__(self, files: Files, writable: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.writable = writable
        self.moved = 0
        self.trouble = ""
        self.password = secrets.token_urlsafe(32)
        self.lock = threading.Lock()
        self.uploads: Dict[str, Path] = {}

    @property
    def address(self) -> str:
        """Host and port, as image references name it."""
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def login(self) -> str:
        """What lets one in."""
        return login(USER, self.password)

    def handle_error(self, *_: object) -> None:
        """A client that has gone."""

    def count(self, size: int) -> None:
        """Bytes that have gone through."""
        with self.lock:
            self.moved += size


@contextmanager
def serving(files: Files, writable: bool, say: Any) -> Iterator[Server]:
    """The server, as long as the block runs; tells how many bytes have moved, every few seconds that some have.

    Raises Failure in place of what the block raises, where the bundle's disk was the reason.
    """
    server = Server(files, writable)
    if writable:
        uploads = files.path / UPLOADS
        uploads.mkdir(parents=True, exist_ok=True)
        for each in uploads.iterdir():
            each.unlink()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    over = threading.Event()
    beat = threading.Thread(target=_tell, args=(server, over, say), daemon=True)
    beat.start()
    try:
        yield server
    except Failure as failure:
        raise Failure(server.trouble) if server.trouble else failure from None
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        if writable:
            for each in uploads.iterdir():
                each.unlink()
            uploads.rmdir()


def _tell(server: Server, over: threading.Event, say: Any) -> None:
    told, since = 0, time.monotonic()
    while not over.wait(BEAT):
        if server.moved != told:
            rate = (server.moved - told) / (time.monotonic() - since)
            told, since = server.moved, time.monotonic()
            say(f"  … {told / 1e6:,.0f} MB so far, {rate / 1e6:,.1f} MB/s")


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 600

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_HEAD(self) -> None:
        self._answered(self._get)

    def do_POST(self) -> None:
        self._answered(self._begin)

    def do_PATCH(self) -> None:
        self._answered(self._go_on)

    def do_PUT(self) -> None:
        self._answered(self._put)

    def _answered(self, how: Any) -> None:
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Basic {self.server.login}".encode()):
            self._say(401, {"WWW-Authenticate": 'Basic realm="bundle"'})
            return
        if self.command not in ("GET", "HEAD") and not self.server.writable:
            self._say(405)
            return
        try:
            how()
        except FileNotFoundError:
            self._say(404, body=b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"the bundle does not have it"}]}')
        except OSError as wrong:
            if wrong.errno:
                self.server.trouble = self.server.trouble or f"{self.server.files.path}: {wrong.strerror}{_room(self)}"
            self._say(507)
        except Failure as wrong:
            body = {"errors": [{"code": "MANIFEST_INVALID", "message": str(wrong)}]}
            self._say(400, body=json.dumps(body).encode())

    def _get(self) -> None:
        path = urlsplit(self.path).path
        if path in ("/v2", "/v2/"):
            self._say(200, body=b"{}")
            return
        _, _, what, reference = path.rsplit("/", 3)
        if not manifests.DIGEST.fullmatch(reference):
            raise FileNotFoundError(reference)
        size = self.server.files.size(blob_name(reference))
        if size is None:
            raise FileNotFoundError(reference)
        with self.server.files.open(blob_name(reference)) as file:
            if what == "manifests":
                content = file.read()
                headers = {"Content-Type": manifests.kind_of(content), "Docker-Content-Digest": reference}
                self._say(200, headers, content)
                return
            self._head(200, {"Content-Type": "application/octet-stream", "Docker-Content-Digest": reference}, size)
            if self.command == "GET":
                for piece in iter(lambda: file.read(PIECE), b""):
                    self.wfile.write(piece)
                    self.server.count(len(piece))

    def _begin(self) -> None:
        self._drop()
        mount = parse_qs(urlsplit(self.path).query).get("mount", [""])[0]
        if manifests.DIGEST.fullmatch(mount) and self.server.files.size(blob_name(mount)) is not None:
            self._say(201, {"Location": f"/v2/{REPOSITORY}/blobs/{mount}", "Docker-Content-Digest": mount})
            return
        name = secrets.token_hex(16)
        self.server.uploads[name] = self.server.files.path / UPLOADS / name
        self.server.uploads[name].touch()
        self._say(202, {"Location": f"/v2/{REPOSITORY}/blobs/uploads/{name}", "Range": "0-0"})

    def _go_on(self) -> None:
        part = self._upload()
        with part.open("ab") as file:
            self._receive(file)
        self._say(202, {"Location": urlsplit(self.path).path, "Range": f"0-{part.stat().st_size - 1}"})

    def _put(self) -> None:
        parts = urlsplit(self.path)
        _, _, what, reference = parts.path.rsplit("/", 3)
        if what == "manifests":
            self._put_manifest(reference)
            return
        part = self._upload()
        state = hashlib.sha256()
        with part.open("r+b") as file:
            for piece in iter(lambda: file.read(PIECE), b""):
                state.update(piece)
            self._receive(file, state)
            file.flush()
            os.fsync(file.fileno())
        digest = parse_qs(parts.query).get("digest", [""])[0]
        if digest != f"sha256:{state.hexdigest()}":
            part.unlink()
            raise Failure(f"the content is sha256:{state.hexdigest()}, not {digest}")
        place = self.server.files.path / blob_name(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        part.replace(place)
        self._say(201, {"Location": f"/v2/{REPOSITORY}/blobs/{digest}", "Docker-Content-Digest": digest})

    def _put_manifest(self, reference: str) -> None:
        content = self._body()
        manifests.kind_of(content)
        digest = manifests.digest_of(content)
        if digest != reference:
            raise Failure(f"the manifest is {digest}, not {reference}")
        assert isinstance(self.server.files, Folder)
        self.server.files.write(blob_name(digest), content)
        self._say(201, {"Location": f"/v2/{REPOSITORY}/manifests/{digest}", "Docker-Content-Digest": digest})

    def _upload(self) -> Path:
        name = urlsplit(self.path).path.rpartition("/")[2]
        if name not in self.server.uploads:
            raise FileNotFoundError(name)
        return self.server.uploads[name]

    def _body(self) -> bytes:
        return b"".join(self._pieces())

    def _drop(self) -> None:
        for _ in self._pieces():
            pass

    def _receive(self, file: BinaryIO, state: Any = None) -> None:
        for piece in self._pieces():
            file.write(piece)
            self.server.count(len(piece))
            if state is not None:
                state.update(piece)

    def _pieces(self) -> Iterator[bytes]:
        """The request's body, whichever way it is sent. Raises ConnectionError where it ends too early."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while True:
                size = int(self.rfile.readline(100).split(b";")[0] or b"x", 16)
                yield from self._exactly(size)
                self.rfile.readline(3)
                if size == 0:
                    return
        yield from self._exactly(int(self.headers.get("Content-Length") or 0))

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read(min(size, PIECE))
            if not piece:
                raise ConnectionError("the sender has gone")
            size -= len(piece)
            yield piece

    def _say(self, status: int, headers: Optional[Dict[str, str]] = None, body: bytes = b"") -> None:
        if status >= 400:
            self.close_connection = True  # the rest of a body may still be under way
        self._head(status, {"Content-Type": "application/json", **(headers or {})}, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, headers: Dict[str, str], length: int) -> None:
        self.send_response(status)
        for name, value in {"Docker-Distribution-Api-Version": "registry/2.0", **headers}.items():
            self.send_header(name, value)
        if status >= 400:
            self.send_header("Connection", "close")
        self.send_header("Content-Length", str(length))
        self.end_headers()


def _room(handler: _Handler) -> str:
    try:
        found = os.statvfs(handler.server.files.path)
    except OSError:
        return ""
    free = found.f_bavail * found.f_frsize
    return f"; {free:,} bytes are free there. Make room and run it again: what is whole stays"
