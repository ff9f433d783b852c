"""Decides what of a registry a backup takes, that it comes back whole, and that a damaged one touches nothing."""

from __future__ import annotations

import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from garbage_collection.contents import blob_path
from ops import volume_files
from ops.backup import fetch, files_of
from ops.backup_folder import checked, found, keep, locked, write
from ops.backup_snapshot import Snapshot, tag_of
from ops.restore import put_files, put_registry
from ops.stack import StackError
from ops.volume_files import ROOT
from settings import parse
from settings.registries import HostedRegistry
from tests.near_place import near_volume
from tests.registry_client import digest, image, index

CONFIG, LAYER = b"{}", b"a layer"
IMAGE = image(CONFIG, [LAYER])
NOW = datetime(2026, 11, 27, 11, 30, tzinfo=UTC)
NAME = "2026-11-27T113000Z"
TIER = parse(
    {
        "hosts": [{"name": "near", "address": "192.0.2.1"}],
        "image": {"reference": "registry:3.1.2"},
        "registries": [{"kind": "hosted", "name": "r", "host": "near"}],
        "firewall": {"allow": ["192.0.2.0/24"]},
    }
)
REGISTRY = next(each for each in TIER.registries if isinstance(each, HostedRegistry))


def layer(content: bytes, repository: str = "team/app") -> dict[str, bytes]:
    """A blob and its link in a volume."""
    algorithm, _, name = digest(content).partition(":")
    link = f"repositories/{repository}/_layers/{algorithm}/{name}/link"
    return {blob_path(digest(content)): content, link: digest(content).encode()}


def revision(manifest: bytes, repository: str = "team/app", tag: str = "") -> dict[str, bytes]:
    """A manifest's blob and links in a volume."""
    link = f"repositories/{repository}/_manifests/revisions/{digest(manifest).replace(':', '/')}/link"
    named = {tag_path(tag, repository): digest(manifest).encode()} if tag else {}
    return {blob_path(digest(manifest)): manifest, link: digest(manifest).encode(), **named}


def tag_path(tag: str, repository: str = "team/app") -> str:
    return f"repositories/{repository}/_manifests/tags/{tag}/current/link"


WHOLE = {**layer(CONFIG), **layer(LAYER), **revision(IMAGE, tag="1")}


def listed(files: dict[str, bytes]) -> dict[str, str]:
    """As volume_files lists them."""
    return {path: str(len(each)) if path.startswith("blobs/") else each.decode() for path, each in files.items()}


def put(volume: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (volume / ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (volume / ROOT / path).write_bytes(content)


def there(volume: Path) -> dict[str, bytes]:
    top = volume / ROOT
    return {each.relative_to(top).as_posix(): each.read_bytes() for each in top.rglob("*") if each.is_file()}


def test_what_nobody_can_pull_is_left_out() -> None:
    lost, unlinked = layer(b"lost"), layer(b"unlinked")
    more = {path: each for path, each in lost.items() if path.startswith("repositories/")}
    more |= {path: each for path, each in unlinked.items() if path.startswith("blobs/")}
    odd = {"repositories/team/app/_manifests/tags/1/current/.link.new": b"x", "blobs/sha256/ab/.data.new": b"x"}
    taken = Snapshot.of(listed({**WHOLE, **more, **odd}))
    assert taken == Snapshot.of(listed(WHOLE))
    assert taken.images == [f"team/app@{digest(IMAGE)}"]
    assert Snapshot.read(taken.text()) == taken


def test_a_tag_that_was_listed_while_it_was_made_is_left_out() -> None:
    history = {tag_path("2").replace("current", f"index/{digest(IMAGE).replace(':', '/')}"): digest(IMAGE).encode()}
    assert Snapshot.of(listed({**WHOLE, **history})) == Snapshot.of(listed(WHOLE))
    both = {**history, tag_path("2"): digest(IMAGE).encode()}
    assert both.keys() <= Snapshot.of(listed({**WHOLE, **both})).links.keys()


def test_a_push_while_files_are_listed_leaves_the_list_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each folder that has been read another image comes, and the tag moves."""
    put(tmp_path, WHOLE)
    files, number = volume_files._files, count()

    def pushed_to(root: Path, below: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        yield from files(root, below)
        new = f"layer {next(number)}".encode()
        put(tmp_path, {**layer(new), **revision(image(CONFIG, [new]), tag="1")})

    monkeypatch.setattr(volume_files, "_files", pushed_to)
    taken = Snapshot.of(volume_files.listing(tmp_path / ROOT))
    assert taken.links[tag_path("1")] == digest(IMAGE)
    assert taken.lacking(there(tmp_path).__getitem__) == []


ELSEWHERE = json.dumps({"config": None, "layers": [{"digest": digest(b"foreign"), "urls": ["https://x"]}]}).encode()


@pytest.mark.parametrize(
    ("files", "lacks"),
    [
        (WHOLE, []),
        ({**layer(CONFIG), **revision(IMAGE)}, [IMAGE]),
        ({**WHOLE, **revision(index([IMAGE]))}, []),
        (revision(index([IMAGE])), [index([IMAGE])]),
        (revision(ELSEWHERE), []),
        (revision(b"no JSON"), [b"no JSON"]),
        (revision(b"[]"), [b"[]"]),
        # Its parts are there, but another repository's.
        ({**layer(CONFIG, "a"), **layer(LAYER, "a"), **revision(IMAGE)}, [IMAGE]),
    ],
)
def test_an_image_that_lacks_a_part_is_named(files: dict[str, bytes], lacks: list[bytes]) -> None:
    assert Snapshot.of(listed(files)).lacking(files.__getitem__) == [f"team/app@{digest(each)}" for each in lacks]


def test_a_tag_without_its_manifest_is_named() -> None:
    files = {**revision(IMAGE, "other"), tag_path("1"): digest(IMAGE).encode()}
    assert "team/app:1" in Snapshot.of(listed(files)).lacking(files.__getitem__)


def test_a_registry_gets_what_it_lacks_and_keeps_what_it_has() -> None:
    other = image(CONFIG, [b"newer"])
    now = {**layer(CONFIG), **layer(b"newer"), **revision(other, tag="1"), blob_path(digest(LAYER)): b"half"}
    blobs, links, moved = Snapshot.of(listed(WHOLE)).missing_in(listed(now))
    assert blobs == sorted(blob_path(digest(each)) for each in (LAYER, IMAGE))
    assert sorted(links) == sorted(path for path in WHOLE if path.startswith("repositories/") and path not in now)
    assert [tag_of(each) for each in moved] == ["team/app:1"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one backup of a volume."""
    folder = tmp_path_factory.mktemp("made")
    put(folder / "old", WHOLE)
    with locked(folder / "all" / "s"):
        got = fetch(near_volume(folder, "old"), folder / "all" / "s")
        assert (len(got.new), got.broken, got.incomplete) == (3, [], [])
        write(folder / "all" / "s", "s", '{"deployment": {}}', {"stacks/x": b"x"}, {"r": got.snapshot}, NOW)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "copy")


def restored(folder: Path, *, overwrite: bool = False) -> dict[str, bytes]:
    backup = checked(found(folder / "all", "s"), "s")
    place = near_volume(folder, "new")
    put_registry(place, REGISTRY, backup.snapshots["r"], backup.shared, tier=TIER, overwrite=overwrite)
    return there(folder / "new")


def test_a_registry_comes_back_as_it_was(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert restored(folder) == WHOLE
    assert restored(folder) == WHOLE
    assert "r: 0 blobs and 0 links put back of 1 manifests" in capsys.readouterr().out


def test_a_tag_that_has_moved_on_stays_unless_it_is_to_be_overwritten(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = {**layer(b"newer"), **revision(image(CONFIG, [b"newer"]), tag="1")}
    put(folder / "new", newer)
    assert restored(folder) == {**WHOLE, **newer}
    assert "r: team/app:1: another than the backup's is there and stays" in capsys.readouterr().out
    assert restored(folder, overwrite=True) == {**newer, **WHOLE}


def test_a_second_backup_fetches_what_is_new(folder: Path) -> None:
    put(folder / "old", layer(b"more"))
    assert fetch(near_volume(folder, "old"), folder / "all" / "s").new == [blob_path(digest(b"more"))]


def test_a_blob_with_another_content_than_its_name_says_does_not_spoil_the_rest(folder: Path) -> None:
    put(folder / "old", {**layer(b"good"), blob_path(digest(b"rotten")): b"rotten!", **layer(b"rotten")})
    (folder / "old" / ROOT / blob_path(digest(b"rotten"))).write_bytes(b"rotted")
    got = fetch(near_volume(folder, "old"), folder / "all" / "s")
    assert got.broken == [blob_path(digest(b"rotten"))]
    assert got.new == [blob_path(digest(b"good"))]
    assert got.snapshot == Snapshot.of(listed({**WHOLE, **layer(b"good")}))


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


BLOB = f"../{blob_path(digest(LAYER))}"


@pytest.mark.parametrize("damage", [flip, cut_short, Path.unlink])
@pytest.mark.parametrize("file", [BLOB, "state.json", "files/stacks/x", "registries/r.json", "backup.json.sha256"])
def test_a_damaged_backup_is_named_and_touches_nothing(folder: Path, file: str, damage: Callable[[Path], None]) -> None:
    damage(folder / "all" / "s" / NAME / file)
    with pytest.raises(
        StackError, match=r"missing or damaged: .*" + Path(file).name.replace("data", blob_path(""))[:4]
    ):
        restored(folder)
    assert not (folder / "new").exists()


@pytest.mark.parametrize("damage", [flip, cut_short])
def test_a_damaged_list_is_told(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder / "all" / "s" / NAME / "backup.json")
    with pytest.raises(StackError, match="missing or damaged"):
        checked(folder / "all" / "s" / NAME, "s")


def test_a_list_that_leads_out_of_the_folder_is_refused(folder: Path) -> None:
    with locked(folder / "all" / "s"):
        made = write(folder / "all" / "s", "s", "{}", {"../../../secret": b"x"}, {}, NOW + timedelta(1))
    with pytest.raises(StackError, match="is no path below it"):
        checked(made, "s")
    with pytest.raises(ValueError, match="no file of a registry"):
        Snapshot.read('{"links": {"repositories/../../x/link": "sha256:1"}, "blobs": {}}')


def test_which_backup_is_meant(folder: Path) -> None:
    with locked(folder / "all" / "s"):
        newer = write(folder / "all" / "s", "s", "{}", {}, {}, NOW + timedelta(1))
    assert found(folder / "all", "s") == newer
    assert found(newer, "s") == newer
    with pytest.raises(StackError, match="has no backup of other"):
        found(folder / "all", "other")
    with pytest.raises(StackError, match="is a backup of s, not of other"):
        checked(newer, "other")


def test_older_backups_go_with_the_blobs_that_only_they_need(folder: Path) -> None:
    put(folder / "old", {**layer(b"more"), **revision(image(CONFIG, [b"more"]), tag="1")})
    place, top = near_volume(folder, "old"), folder / "all" / "s"
    for path in layer(LAYER):
        (folder / "old" / ROOT / path).unlink()
    with locked(top):
        write(top, "s", "{}", {}, {"r": fetch(place, top).snapshot}, NOW + timedelta(1))
        assert keep(top, 2) == ([], 0)
        assert keep(top, 1) == ([NAME], len(LAYER))
        assert keep(top, 1) == ([], 0)
    checked(found(folder / "all", "s"), "s")


def test_one_backup_at_a_time_and_a_half_one_goes(folder: Path) -> None:
    half = folder / "all" / "s" / f".{NAME}.new"
    half.mkdir()
    with locked(folder / "all" / "s"):
        assert not half.exists()
        with pytest.raises(StackError, match="another backup is at work"), locked(folder / "all" / "s"):
            pass
    assert (folder / "all" / "s").stat().st_mode & 0o77 == 0


def test_the_files_of_a_stack_are_its_own_and_those_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the image's archive, and nothing outside the project."""
    names = ["stacks/Pulumi.s.yaml", "stacks/certificates/s/a.pem", "keys/jwks.json", "known", "big.tar", "other"]
    for each in names:
        (tmp_path / "project" / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / each).write_text(each)
    (tmp_path / "outside").write_text("secret")
    settings = {
        "known_hosts": "known",
        "image": {"reference": "registry:3", "archive": "big.tar"},
        "registries": [{"token": {"jwks": "keys/jwks.json"}}, {"authority": "../outside"}],
        "authorities": [{"certificate": str(tmp_path / "outside")}, {"note": "x" * 5000}],
    }
    monkeypatch.setattr("ops.backup.plain_settings", {"s": settings}.get)
    found = files_of("s", tmp_path / "project")
    assert {name: content.decode() for name, content in found.items()} == {each: each for each in names[:4]}


def test_a_file_that_says_something_else_stays_unless_it_is_to_be_overwritten(folder: Path, tmp_path: Path) -> None:
    backup, project = checked(found(folder / "all", "s"), "s"), tmp_path / "project"
    assert put_files(backup, project, overwrite=False) == ["stacks/x: put back"]
    assert put_files(backup, project, overwrite=False) == []
    (project / "stacks/x").write_text("other")
    assert put_files(backup, project, overwrite=False) == [f"stacks/x: {KEEPS}"]
    assert (project / "stacks/x").read_text() == "other"
    assert put_files(backup, project, overwrite=True) == ["stacks/x: put back"]
    assert (project / "stacks/x").read_text() == "x"


KEEPS = "another than the backup's is there and stays; YES=1 puts the backup's back"


def test_a_full_disk_is_told_and_the_next_one_goes_on(folder: Path) -> None:
    """A limit of the process's stands in for the disk's."""
    put(folder / "old", layer(b"x" * 10**5))
    place, top = near_volume(folder, "old"), folder / "all" / "s"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**4, limit[1]))
    try:
        with pytest.raises(StackError, match="File too large; the blobs that have come so far stay there"):
            fetch(place, top)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert fetch(place, top).new == [blob_path(digest(b"x" * 10**5))]


def test_a_host_that_dies_meanwhile_is_told(folder: Path) -> None:
    put(folder / "old", layer(os.urandom(10**5)))
    place = near_volume(folder, "old")
    ssh = folder / "programs" / "ssh"
    ssh.write_text(ssh.read_text().replace("exec sh", 'case "$command" in *" send "*) exit 255;; esac\nexec sh'))
    with pytest.raises(StackError, match="near: the copy failed: exit status 255; try again"):
        fetch(place, folder / "all" / "s")
