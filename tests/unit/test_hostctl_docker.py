"""Decides: an image that we load goes again without harm to others'.

The engine is a small fake on a Unix socket; the real one is in tests/lab.
"""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from hostctl import docker_api
from hostctl.errors import HostError
from hostctl.host import Host
from hostctl.transaction import Transactions
from hostctl.units.docker_image import DockerImage

OURS, THEIRS, NEWER = ("sha256:" + letter * 64 for letter in "abc")
ARCHIVE = "/var/lib/http-registry/registry.tar"
WISH = {"archive": ARCHIVE, "image": "registry:3"}


class Engine(ThreadingUnixStreamServer):
    """Tags and ids, as /images shows them; `used` are ids that a container runs, `coming` is the archive's."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.tags: dict[str, str] = {}
        self.ids: set[str] = set()
        self.used: set[str] = set()
        self.loads = 0
        self.coming = OURS
        super().__init__(str(path), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Engine

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def address_string(self) -> str:
        return ""

    def answer(self, status: int, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        name = unquote(self.path.removeprefix("/images/").removesuffix("/json"))
        found = self.server.tags.get(name) or (name if name in self.server.ids else None)
        if found is None:
            self.answer(404, {"message": "no such image"})
        else:
            self.answer(
                200, {"Id": found, "RepoTags": [tag for tag, each in self.server.tags.items() if each == found]}
            )

    def do_POST(self) -> None:
        if self.path.startswith("/images/load"):
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
            self.server.loads += 1
            self.server.ids.add(self.server.coming)
            self.server.tags["registry:3"] = self.server.coming
            self.answer(200, {"stream": "Loaded image: registry:3"})
            return
        where, query = urlsplit(self.path), parse_qs(urlsplit(self.path).query)
        image = where.path.split("/")[2]
        if image not in self.server.ids:
            self.answer(404, {"message": "no such image"})
            return
        self.server.tags[f"{query['repo'][0]}:{query['tag'][0]}"] = image
        self.answer(201, {})

    def do_DELETE(self) -> None:
        name = unquote(self.path.removeprefix("/images/"))
        image = self.server.tags.get(name, name)
        if image in self.server.used:
            self.answer(409, {"message": "conflict"})
            return
        self.server.tags.pop(name, None)
        if image not in self.server.tags.values():
            self.server.ids.discard(image)
        self.answer(200, [])


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "var/run").mkdir(parents=True)
    return Host(tmp_path)


@pytest.fixture
def engine(host: Host) -> Iterator[Engine]:
    with Engine(host.path(docker_api.SOCKET)) as engine:
        threading.Thread(target=engine.serve_forever, args=(0.01,), daemon=True).start()
        yield engine
        engine.shutdown()


@pytest.fixture(autouse=True)
def archive(host: Host) -> None:
    save(host, [{"Config": OURS[7:] + ".json", "RepoTags": ["registry:3"], "Layers": []}])


def save(host: Host, manifest: Any) -> None:
    path = host.path(ARCHIVE)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(manifest).encode()
    with tarfile.open(path, "w") as file:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(content)
        file.addfile(entry, io.BytesIO(content))


def test_a_missing_image_is_loaded_once_and_removed(host: Host, engine: Engine) -> None:
    report = Transactions(host).apply(DockerImage(), WISH)
    assert (report["result"], report["image_id"]) == ("changed", OURS)
    assert Transactions(host).apply(DockerImage(), WISH)["result"] == "unchanged"
    assert engine.loads == 1
    assert Transactions(host).remove(DockerImage())["result"] == "removed"
    assert engine.ids == set()


def test_an_image_that_was_there_before_stays(host: Host, engine: Engine) -> None:
    engine.ids, engine.tags = {OURS}, {"registry:3": OURS}
    assert Transactions(host).apply(DockerImage(), WISH)["image_id"] == OURS
    Transactions(host).remove(DockerImage())
    assert engine.tags == {"registry:3": OURS}
    assert engine.loads == 0


def test_a_tag_that_meant_another_image_means_it_again(host: Host, engine: Engine) -> None:
    engine.ids, engine.tags = {THEIRS}, {"registry:3": THEIRS}
    assert Transactions(host).apply(DockerImage(), WISH)["image_id"] == OURS
    Transactions(host).remove(DockerImage())
    assert engine.tags == {"registry:3": THEIRS}
    assert engine.ids == {THEIRS}


def test_an_update_that_is_taken_back_leaves_no_image_of_its_own(host: Host, engine: Engine) -> None:
    def refuse(step: str) -> None:
        if step == "verify":
            raise HostError("refused")

    Transactions(host).apply(DockerImage(), WISH)
    save(host, [{"Config": NEWER[7:] + ".json", "RepoTags": ["registry:3"], "Layers": []}])
    engine.coming = NEWER
    with pytest.raises(HostError, match="refused"):
        Transactions(host, refuse).apply(DockerImage(), WISH)
    assert (engine.tags, engine.ids) == ({"registry:3": OURS}, {OURS})


def test_an_image_in_use_stays_with_a_note(host: Host, engine: Engine) -> None:
    Transactions(host).apply(DockerImage(), WISH)
    engine.used = {OURS}
    report = Transactions(host).remove(DockerImage())
    assert report["result"] == "removed"
    assert "a container uses it" in report["notes"][0]
    assert engine.tags == {"registry:3": OURS}


def test_an_image_with_a_second_name_stays_with_a_note(host: Host, engine: Engine) -> None:
    Transactions(host).apply(DockerImage(), WISH)
    engine.tags["theirs:1"] = OURS
    assert "under another name" in Transactions(host).remove(DockerImage())["notes"][0]
    assert engine.tags == {"theirs:1": OURS}


def test_an_image_removed_by_hand_is_loaded_again(host: Host, engine: Engine) -> None:
    Transactions(host).apply(DockerImage(), WISH)
    engine.ids, engine.tags = set(), {}
    assert Transactions(host).apply(DockerImage(), WISH)["result"] == "changed"
    assert engine.tags == {"registry:3": OURS}


def test_an_archive_without_the_image_is_an_error(host: Host, engine: Engine) -> None:
    save(host, [{"Config": OURS[7:] + ".json", "RepoTags": ["other:1"], "Layers": []}])
    with pytest.raises(HostError, match=r"registry\.tar: does not hold registry:3, only other:1"):
        Transactions(host).apply(DockerImage(), WISH)


def test_an_archive_without_a_layer_is_an_error(host: Host, engine: Engine) -> None:
    save(host, [{"Config": OURS[7:] + ".json", "RepoTags": ["registry:3"], "Layers": ["layer.tar"]}])
    with pytest.raises(HostError, match=r"is not whole: it lacks the layer layer\.tar; copy it again"):
        Transactions(host).apply(DockerImage(), WISH)
    assert engine.loads == 0


def test_an_archive_that_is_missing_or_cut_off_is_an_error(host: Host, engine: Engine) -> None:
    host.path(ARCHIVE).write_bytes(b"PK")
    with pytest.raises(HostError, match="is not a whole tar archive"):
        Transactions(host).apply(DockerImage(), WISH)
    host.path(ARCHIVE).unlink()
    with pytest.raises(HostError, match="there is no such file on this host"):
        Transactions(host).apply(DockerImage(), WISH)


def test_a_silent_engine_is_an_error_with_a_remedy(host: Host) -> None:
    with pytest.raises(HostError, match=r"does not answer.*systemctl status docker"):
        Transactions(host).apply(DockerImage(), WISH)
