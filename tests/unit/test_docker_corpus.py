"""Decides: every way in which people write daemon.json survives us byte for byte, or is a clear error.

Files are tests/cases/docker_corpus: daemon.json as Docker's documentation has it, by version, and as people write it;
beside one that is refused, the error. A new shape needs a file and no Python.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostctl.daemon_json import DEBUG, DOWNLOADS, INSECURE, MIRRORS, PATH, Wanted, merge, unmerge
from hostctl.docker_engine import LOOPBACK
from hostctl.errors import HostError
from hostctl.json_text import JsonText

CORPUS = Path(__file__).parents[1] / "cases" / "docker_corpus"
FILES = {path.stem: path for path in sorted(CORPUS.glob("*.json"))}
REFUSED = {name: path.with_suffix(".error").read_text().strip() for name, path in FILES.items() if "refused" in name}
TAKEN = [name for name in FILES if name not in REFUSED]
WISHES = {
    "nothing": Wanted(),
    "mirror": Wanted(("http://192.168.1.11:5080",)),
    "all": Wanted(("http://192.168.1.11:5080",), ("192.168.1.11",), 6, True, LOOPBACK),
}


def survives(base: bytes, wanted: Wanted) -> None:
    once, ours = merge(base, wanted)
    assert merge(once, wanted)[0] == once
    assert unmerge(once, json.loads(json.dumps(ours))) == (base, [])
    before, after = JsonText(PATH, base), JsonText(PATH, once)
    assert [key for key in after.keys if key in before.keys] == before.keys
    for key in set(before.keys) - {MIRRORS, INSECURE, DOWNLOADS, DEBUG}:
        assert after.source(key) == before.source(key)


def test_the_corpus_is_whole() -> None:
    assert len(TAKEN) >= 40
    assert {path.stem for path in CORPUS.glob("*.error")} == set(REFUSED)


@pytest.mark.parametrize("wanted", WISHES.values(), ids=WISHES.keys())
@pytest.mark.parametrize("name", TAKEN)
def test_a_file_keeps_its_bytes(name: str, wanted: Wanted) -> None:
    survives(FILES[name].read_bytes(), wanted)


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_file_is_an_error_that_says_where(name: str) -> None:
    with pytest.raises(HostError) as refused:
        merge(FILES[name].read_bytes(), Wanted())
    assert str(refused.value).startswith(PATH)
    assert REFUSED[name] in str(refused.value)


def test_a_huge_file_keeps_its_bytes() -> None:
    labels = ",\n".join(f'    "label-{number}=value"' for number in range(20_000))
    survives(f'{{\n  "labels": [\n{labels}\n  ],\n  "mtu": 1400\n}}\n'.encode(), WISHES["all"])


def test_a_file_of_endless_depth_is_an_error() -> None:
    with pytest.raises(HostError, match="is nested too deeply to be a configuration"):
        merge(b'{"builder": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", Wanted())
