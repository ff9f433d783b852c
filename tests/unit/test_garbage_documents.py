"""What goes to a host for garbage collection, and which digests a manifest needs. Pure; tests/programs has the runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from documents import garbage_collection
from garbage_collection.contents import Contents, Memory, Unreadable, references
from garbage_collection.program import configured
from garbage_collection.stores import File
from hostctl.masking import MASK
from hostctl.units.garbage_collection import PREFIX, GarbageCollection, config_file, gate, service, timer
from settings import parse
from settings.registry_files import RegistryFiles
from settings.tier import Tier
from tests.certificates import authority

S3 = {"endpoint": "https://s3.example:7070", "region": "eu-1", "bucket": "images", "prefix": "a", "authority": "ca.pem"}
CA = authority().pem
SECRETS = {"s3-access-key-two": "geheim-a", "s3-secret-key-two": "geheim-s"}


def tier() -> Tier:
    registries: list[dict[str, Any]] = [
        {"kind": "hosted", "name": "one", "host": "h", "garbage_collection": {"schedule": "Sun 03:30"}},
        {
            "kind": "hosted", "name": "two", "host": "h", "port": 5002, "storage": {"s3": S3},
            "garbage_collection": {"schedule": "daily", "untagged": True, "spare": "2h"},
        },
        {"kind": "hosted", "name": "three", "host": "h", "port": 5003},
    ]  # fmt: skip
    return parse(
        {
            "hosts": [{"name": "h", "address": "10.0.0.1"}],
            "image": {"reference": "registry:3.1.2"},
            "registries": registries,
            "proxy": {
                "host": "h",
                "endpoints": [
                    {"registry": name, "port": port, "server_name": "10.0.0.1"}
                    for name, port in (("one", 81), ("two", 82))
                ],
                "users": [{"name": "ann", "role": "push"}],
            },
            "firewall": {"allow": ["10.0.0.0/8"]},
        }
    )


def rendered(secrets: dict[str, str] | None = None) -> garbage_collection.GarbageCollection:
    wanted = garbage_collection.collected(tier().registries, "h")
    return garbage_collection.render(wanted, {"two": RegistryFiles(authority=CA)}, secrets)


def test_the_registries_with_a_schedule_and_no_other() -> None:
    assert [each.name for each in garbage_collection.collected(tier().registries, "h")] == ["one", "two"]
    assert garbage_collection.collected(tier().registries, "elsewhere") == []
    assert rendered().schedules == {"one": "Sun 03:30", "two": "daily"}


def test_the_program_reads_its_configuration() -> None:
    texts = {each.path: each for each in rendered(SECRETS).files}
    rules, _ = configured(texts[config_file("one")].text, look=False)
    assert (rules.untagged, rules.spare) == (False, 86400)
    rules, store = configured(texts[config_file("two")].text, look=True)
    assert (rules.untagged, rules.spare) == (True, 7200)
    assert store is not None
    assert texts[config_file("two")].mode == 0o600
    data = json.loads(texts[config_file("two")].text)
    assert (data["access"], data["secret"], data["bucket"]["ca"]) == ("geheim-a", "geheim-s", CA)


@pytest.mark.parametrize("text", ["{}", "[]", '{"untagged": true, "spare": 1}', '{"spare": "x"}', "no"])
def test_a_wrong_configuration_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        configured(text, look=False)


def test_no_key_is_shown() -> None:
    assert "geheim" not in json.dumps(rendered().shown())
    with_keys = next(each for each in rendered(SECRETS).files if each.path == config_file("two"))
    shown = GarbageCollection().shown(with_keys.path, with_keys.text.encode())
    assert "geheim" not in shown
    assert shown == rendered().shown()[with_keys.path]
    assert GarbageCollection().shown(with_keys.path, b"geheim, half a file") == f"{MASK}\n"


def test_a_key_that_changes_changes_its_configuration_only() -> None:
    other = {**SECRETS, "s3-secret-key-two": "other"}
    changed = set(rendered(SECRETS).files) ^ set(rendered(other).files)
    assert {each.path for each in changed} == {config_file("two")}


def test_nginx_s_gate_is_in_the_folder_that_systemd_takes_away() -> None:
    unit = next(each.text for each in rendered().files if each.path.endswith(service("one")))
    assert f"\nRuntimeDirectory={PREFIX}one\n" in unit
    assert gate("one") == f"/run/{PREFIX}one/closed"
    assert timer("one").removesuffix(".timer") == service("one").removesuffix(".service")


A, B, C, D = (f"sha256:{letter * 64}" for letter in "abcd")


def test_a_manifest_names_its_parts_whatever_its_kind() -> None:
    image = {"config": {"digest": A}, "layers": [{"digest": B, "annotations": {"digest": D}}], "subject": {"digest": C}}
    assert set(references("m", json.dumps(image).encode())) == {A, B}
    assert set(references("m", json.dumps({"manifests": [{"digest": A}, {"digest": C}]}).encode())) == {A, C}
    assert set(references("m", json.dumps({"fsLayers": [{"blobSum": B}]}).encode())) == {B}
    assert set(references("m", json.dumps({"blobs": [{"digest": B}, {"digest": "no digest"}]}).encode())) == {B}
    with pytest.raises(Unreadable, match="m: is linked as a manifest"):
        list(references("m", b"{"))


def test_a_listing_is_sorted_by_what_its_paths_mean() -> None:
    hexadecimal = "a" * 64
    contents = Contents.of(
        File(path, 1.0, 2)
        for path in (
            f"blobs/sha256/aa/{hexadecimal}/data",
            f"repositories/a/b/_layers/sha256/{hexadecimal}/link",
            f"repositories/a/b/_manifests/revisions/sha256/{hexadecimal}/link",
            "repositories/a/b/_manifests/tags/v1/current/link",
            f"repositories/a/b/_manifests/tags/v1/index/sha256/{hexadecimal}/link",
            "repositories/a/b/_uploads/1/data",
            "something/else",
        )
    )
    assert (contents.blobs, contents.layers, contents.revisions) == ({A: 1.0}, {("a/b", A): 1.0}, {("a/b", A): 1.0})
    assert [each[0] for each in contents.current] == ["a/b"]
    assert [each[0] for each in contents.index] == [("a/b", A)]


def test_a_tag_is_read_again_only_where_its_mark_is_another_one() -> None:
    asked: list[str] = []

    def read(path: str) -> bytes:
        asked.append(path)
        return B.encode() if len(asked) > 1 else A.encode()

    memory, tag = Memory(), File("repositories/a/_manifests/tags/v1/current/link", 1.0, 71, "one")
    assert [memory.meaning(tag, read) for _ in range(2)] == [A, A]
    moved = tag._replace(mark="two")
    assert [memory.meaning(moved, read) for _ in range(2)] == [B, B]
    assert len(asked) == 2
    unmarked = tag._replace(mark="")
    assert [memory.meaning(unmarked, read) for _ in range(2)] == [B, B]
    assert len(asked) == 4
