"""Garbage collection beside a real registry: nothing goes that an image needs, or a push that is under way."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from garbage_collection import collection
from garbage_collection.collection import Rules, collect
from garbage_collection.stores import Folder
from tests.programs.registry_process import registry_program, serving
from tests.registry_client import Client, digest, index
from tests.unit.test_registry_documents import registry

SPARE = 3600.0


class Place:
    """A registry with its data in a folder, and runs of the collection there."""

    def __init__(self, folder: Path, client: Client) -> None:
        self.folder = folder
        self.client = client
        self.store = Folder(folder / "data")
        self.store.settle = 0.05
        self.said: list[str] = []

    def age(self) -> None:
        """Make everything older than what is spared."""
        long_ago = time.time() - 2 * SPARE
        for path in (self.folder / "data").rglob("*"):
            os.utime(path, (long_ago, long_ago))

    def run(self, untagged: bool = False) -> str:
        """A run; returns what it said last."""
        collect(self.store, Rules(untagged, SPARE), self.folder, self.said.append)
        return self.said[-1]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with serving(tmp_path, registry(kind="hosted")) as client:
        yield Place(tmp_path, client)


def test_what_is_not_used_goes_and_what_is_tagged_stays(place: Place) -> None:
    client = place.client
    gone = client.push("team/a", "old", b"config 1", b"shared layer", b"own layer")
    client.push("team/a", "kept", b"config 2", b"shared layer")
    assert client.ask("DELETE", f"/v2/team/a/manifests/{digest(gone)}").status == 202
    place.age()
    assert place.run().startswith("removed 0 untagged manifests, 2 other links and 3 blobs")
    assert client.pull("team/a", "kept")
    assert (client.blob("team/a", b"own layer"), client.blob("team/a", b"shared layer")) == (404, 200)
    assert place.run() == "nothing to remove"
    assert client.push("team/a", "old", b"config 1", b"shared layer", b"own layer") == gone
    assert client.pull("team/a", "old") == gone


def test_a_push_that_is_under_way_is_not_disturbed(place: Place) -> None:
    client = place.client
    client.push("p/x", "", b"junk", b"junk layer")
    client.ask("DELETE", f"/v2/p/x/manifests/{digest(client.push('p/x', '', b'junk', b'junk layer'))}")
    half = client.send(client.begin("p/x"), b"first half, ")
    place.age()
    client.upload("p/x", b"config of a push")
    client.upload("p/x", b"layer that was up before")
    assert "2 other links and 3 blobs" in place.run(untagged=True)
    client.finish(client.send(half, b"second half"), b"first half, second half")
    pushed = client.push("p/x", "v", b"config of a push", b"layer that was up before", b"first half, second half")
    assert client.pull("p/x", "v") == pushed


def test_an_unused_blob_that_is_uploaded_again_stays(place: Place) -> None:
    """The registry keeps the old file then; only the link is new."""
    place.client.upload("p/x", b"layer")
    place.age()
    place.client.upload("p/y", b"layer")
    assert place.run().startswith("removed 0 untagged manifests, 1 other links and 0 blobs with 0 bytes; ")
    assert (place.client.blob("p/x", b"layer"), place.client.blob("p/y", b"layer")) == (404, 200)


def test_untagged_images_go_only_where_that_is_wanted(place: Place) -> None:
    client = place.client
    before = client.push("u/x", "latest", b"before", b"layer 1")
    client.push("u/x", "latest", b"after", b"layer 2")
    place.age()
    assert place.run() == "nothing to remove"
    assert client.pull("u/x", digest(before))
    assert place.run(untagged=True).startswith("removed 1 untagged manifests, 3 other links and 3 blobs")
    assert client.pull("u/x", digest(before)) is None
    assert client.pull("u/x", "latest")


def test_an_image_for_several_platforms_stays_whole(place: Place) -> None:
    client = place.client
    parts = [client.push("m/x", "", f"config {each}".encode(), f"layer {each}".encode()) for each in (1, 2)]
    client.put("m/x", "v1", index(parts))
    place.age()
    assert place.run(untagged=True) == "nothing to remove"
    assert client.pull("m/x", "v1")


def lose_a_child(client: Client) -> None:
    """Two repositories have an image for several platforms; in the first one its part was deleted."""
    for repository in ("a/x", "b/x"):
        part = client.push(repository, "", b"config", b"layer")
        client.put(repository, "v1", index([part]))
    assert client.ask("DELETE", f"/v2/a/x/manifests/{digest(part)}").status == 202
    assert client.pull("b/x", "v1")


def test_another_repository_s_broken_image_does_no_harm(place: Place) -> None:
    lose_a_child(place.client)
    place.age()
    place.run(untagged=True)
    assert place.client.pull("b/x", "v1")


def test_why_the_registry_s_own_command_is_not_used(place: Place) -> None:
    """When this fails, distribution has changed, and its own command may do."""
    lose_a_child(place.client)
    place.client.upload("p/x", b"layer of a push")
    config = place.folder / "etc/distribution/config.yml"
    subprocess.run([registry_program(), "garbage-collect", "-m", config], check=True, capture_output=True)
    assert place.client.blob("p/x", b"layer of a push") == 404
    with pytest.raises(AssertionError, match="is gone"):
        place.client.pull("b/x", "v1")


def test_a_manifest_that_comes_between_look_and_removal_gets_its_links_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = place.client
    manifest = client.push("r/x", "", b"config", b"layer")
    client.ask("DELETE", f"/v2/r/x/manifests/{digest(manifest)}")
    place.age()
    remove = Folder.remove

    def late(self: Folder, paths: Any) -> None:
        monkeypatch.setattr(Folder, "remove", remove)
        assert client.put("r/x", "v1", manifest).status == 201  # the registry has found it whole
        remove(self, paths)

    monkeypatch.setattr(Folder, "remove", late)
    place.run()
    assert client.pull("r/x", "v1") == manifest
    assert any("it is back" in each for each in place.said)


def test_pushes_are_held_off_while_it_removes_and_only_then(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = place.folder / collection.GATE
    seen: list[bool] = []
    remove = Folder.remove

    def watched(self: Folder, paths: Any) -> None:
        seen.append(gate.exists())
        remove(self, paths)

    monkeypatch.setattr(Folder, "remove", watched)
    place.client.upload("g/x", b"junk")
    assert place.run() == "nothing to remove"
    assert not seen
    place.age()
    place.run()
    assert seen == [True, True]
    assert not gate.exists()


def test_a_failure_lets_pushes_in_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Folder, paths: Any) -> None:
        raise OSError("disk")

    place.client.upload("g/x", b"junk")
    place.age()
    with monkeypatch.context() as broken:
        broken.setattr(Folder, "remove", full)
        with pytest.raises(OSError, match="disk"):
            place.run()
    assert not (place.folder / collection.GATE).exists()
    assert "1 blobs" in place.run()


def test_pushes_are_not_held_off_for_ever(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "LONGEST", 0.2)
    monkeypatch.setattr(Folder, "remove", lambda *_: time.sleep(10))
    place.client.upload("g/x", b"junk")
    place.age()
    with pytest.raises(collection.TooLong):
        place.run()
    assert not (place.folder / collection.GATE).exists()


def test_pulls_and_pushes_all_the_while(place: Place) -> None:
    """Pushes that pass (nothing holds them off here) are whole afterwards, or were refused."""
    client = place.client
    kept = client.push("l/kept", "v", b"config", b"layer" * 1000)
    ended = threading.Event()
    failures: list[BaseException] = []

    def pull() -> None:
        while not ended.is_set():
            assert client.pull("l/kept", "v") == kept

    def push() -> None:
        for number in range(1000):
            if ended.is_set():
                return
            client.push("l/new", f"v{number}", f"config {number}".encode(), b"common layer", f"{number}".encode())

    def guarded(work: Any) -> None:
        try:
            work()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=[each]) for each in (pull, push)]
    for each in threads:
        each.start()
    for number in range(10):
        client.upload("l/junk", f"junk {number}".encode())
        link = next((place.folder / "data").rglob("l/junk/_layers"))
        for path in [*link.rglob("*")]:
            os.utime(path, (1, 1))
        data = place.folder / "data/docker/registry/v2/blobs/sha256" / digest(f"junk {number}".encode())[7:9]
        for path in data.rglob(digest(f"junk {number}".encode())[7:] + "/*"):
            os.utime(path, (1, 1))
        assert "1 blobs" in place.run()
    ended.set()
    for each in threads:
        each.join()
    assert not failures
    tags = client.ask("GET", "/v2/l/new/tags/list").data["tags"]
    assert tags
    for tag in tags:
        assert client.pull("l/new", tag)
