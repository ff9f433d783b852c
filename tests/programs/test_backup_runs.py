"""Backups of real registries that are pushed to meanwhile, put back into another one: from a volume into a bucket, and
the other way round.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from documents.garbage_collection import bucket as reached
from garbage_collection.stores import File
from ops.backup import fetch
from ops.backup_snapshot import Snapshot
from ops.bucket_files import Files
from ops.registry_data import BucketPlace, Place
from ops.restore import put_registry
from ops.stack import StackError
from settings.registries import HostedRegistry
from tests.near_place import near_volume
from tests.programs.object_store import ACCESS, SECRET, object_store
from tests.programs.registry_process import serving
from tests.programs.test_registry_config import S3_SECRETS, s3
from tests.registry_client import Client, digest, index
from tests.unit.test_backup import TIER
from tests.unit.test_registry_documents import registry


@contextmanager
def in_volume(folder: Path) -> Iterator[tuple[Client, Place]]:
    """A registry that keeps its data in a volume."""
    folder.mkdir()
    with serving(folder, registry(kind="hosted")) as client:
        yield client, near_volume(folder, "data")


@contextmanager
def in_bucket(folder: Path) -> Iterator[tuple[Client, Place]]:
    """A registry that keeps its data in a bucket of its own store."""
    folder.mkdir()
    with object_store(folder / "store") as url:
        hosted = registry(**s3(url))
        place = bucket_of(hosted, folder, SECRET)
        with serving(folder, hosted, secrets=S3_SECRETS) as client:
            yield client, place


def bucket_of(hosted: HostedRegistry, folder: Path, secret: str) -> BucketPlace:
    assert hosted.storage.s3
    near = near_volume(folder, "none")
    keys = {"s3-access-key-r": ACCESS, "s3-secret-key-r": secret}
    wanted = reached("r", hosted.storage.s3, None, keys)
    return BucketPlace(near.stack, near.host, near.known_hosts, near.volume, wanted)


@contextmanager
def pushing(client: Client) -> Iterator[list[str]]:
    """Images pushed one after the other while the block runs: the tags of those that are in before it ends."""
    ended, done, failures = threading.Event(), list[str](), list[BaseException]()

    def push() -> None:
        try:
            while not ended.is_set():
                tag = f"v{len(done)}"
                client.push("l/new", tag, f"config {tag}".encode(), b"common layer", tag.encode() * 1000)
                client.put("l/new", "latest", client.pull("l/new", tag) or b"")
                done.append(tag)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=push)
    thread.start()
    try:
        yield done
    finally:
        ended.set()
        thread.join()
    assert not failures


@pytest.mark.parametrize(("source", "target"), [(in_volume, in_bucket), (in_bucket, in_volume)])
def test_what_was_there_when_it_began_comes_back_and_all_that_comes_back_is_whole(
    tmp_path: Path, source: type, target: type
) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    with source(tmp_path / "source") as (client, place):
        parts = [client.push("m/x", "", f"config {each}".encode(), f"layer {each}".encode() * 10**5) for each in "12"]
        client.put("m/x", "v1", index(parts))
        with pushing(client) as pushed:
            while not pushed:
                pass
            began = len(pushed)
            got = fetch(place, backup)
        assert (got.broken, got.incomplete) == ([], [])
        assert fetch(place, backup).new or len(pushed) == began
    with target(tmp_path / "target") as (client, place):
        put_registry(place, registry(kind="hosted"), got.snapshot, backup, tier=TIER, overwrite=False)
        assert client.pull("m/x", "v1") == index(parts)
        tags = client.ask("GET", "/v2/l/new/tags/list").data["tags"]
        assert {*pushed[:began], "latest"} <= {*tags}
        assert all(client.pull("l/new", tag) for tag in tags)
        client.push("l/new", "v0", b"moved on")
        now = client.pull("l/new", "v0")
        put_registry(place, registry(kind="hosted"), got.snapshot, backup, tier=TIER, overwrite=False)
        assert client.pull("l/new", "v0") == now
        put_registry(place, registry(kind="hosted"), got.snapshot, backup, tier=TIER, overwrite=True)
        assert client.pull("l/new", "v0") != now
        assert client.push("l/new", "after", b"config", b"common layer")
        assert client.pull("l/new", "after")


def test_a_bucket_takes_no_blob_with_another_content_than_its_name_says(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    with in_volume(tmp_path / "source") as (client, place):
        client.push("m/x", "1", b"config", b"layer")
        got = fetch(place, backup)
    rotten = backup / next(path for path in got.snapshot.blobs if digest(b"layer").partition(":")[2] in path)
    rotten.write_bytes(b"lay0r")
    with in_bucket(tmp_path / "target") as (client, place):
        with pytest.raises(StackError, match="1 blobs came with another content"):
            put_registry(place, registry(kind="hosted"), got.snapshot, backup, tier=TIER, overwrite=False)
        assert not [path for path in place.listing() if digest(b"layer").partition(":")[2] in path and "data" in path]


def test_a_push_while_a_bucket_is_listed_leaves_the_list_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_bucket(tmp_path / "source") as (client, place):
        assert isinstance(place, BucketPlace)
        before = digest(client.push("m/x", "1", b"config", b"layer"))
        files = Files(dict(place.bucket))
        below, number = files.bucket.below, count()

        def pushed_to(top: str) -> Iterator[File]:
            yield from below(top)
            client.push("m/x", "1", b"config", f"layer {next(number)}".encode())

        monkeypatch.setattr(files.bucket, "below", pushed_to)
        taken = Snapshot.of(files.listing())
        # Tags are read after they were listed.
        assert taken.links["repositories/m/x/_manifests/tags/1/current/link"] != before
        assert taken.lacking(files.bucket.read) == []


def test_a_bucket_that_refuses_says_so_without_a_key(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with object_store(tmp_path / "source" / "store") as url:
        place = bucket_of(registry(**s3(url)), tmp_path / "source", "another-secret")
        with pytest.raises(StackError, match=r"near: .*SignatureDoesNotMatch") as told:
            place.listing()
    assert "another-secret" not in str(told.value)
