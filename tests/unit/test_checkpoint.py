"""Decides that a checkpoint which a kill has left unreadable is readable again, and that a good one is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.checkpoint import mend

GOOD, OLDER = '{"version": 3}', '{"version": 2}'


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    file = tmp_path / ".pulumi/stacks/http-registry/lab.json"
    file.parent.mkdir(parents=True)
    for name, text in {
        "lab.json": GOOD,
        "lab.json.bak": OLDER,
        "lab.json.attrs": "{}",
        "lab.json.bak.attrs": "{}",
    }.items():
        (file.parent / name).write_text(text)
    return file


def mended(checkpoint: Path) -> dict[str, str]:
    mend(f"file://{checkpoint.parents[3]}", "lab")
    return {each.name.removeprefix("lab.json"): each.read_text() for each in checkpoint.parent.iterdir()}


def test_a_good_one_is_left_alone(checkpoint: Path) -> None:
    assert mended(checkpoint) == {"": GOOD, ".bak": OLDER, ".attrs": "{}", ".bak.attrs": "{}"}


def test_attributes_that_were_cut_short_go(checkpoint: Path) -> None:
    checkpoint.with_name("lab.json.attrs").write_text("")
    assert mended(checkpoint) == {"": GOOD, ".bak": OLDER, ".bak.attrs": "{}"}


@pytest.mark.parametrize("cut", ["", GOOD[:5]])
def test_the_one_before_stands_in_for_one_that_was_cut_short(checkpoint: Path, cut: str) -> None:
    checkpoint.write_text(cut)
    assert mended(checkpoint) == {"": OLDER, ".attrs": "{}", ".bak.attrs": "{}"}


def test_without_any_that_can_be_read_the_stack_is_made_anew(checkpoint: Path) -> None:
    checkpoint.write_text("")
    checkpoint.with_name("lab.json.bak").write_text("")
    assert "" not in mended(checkpoint)


def test_a_backend_elsewhere_is_left_alone(checkpoint: Path) -> None:
    checkpoint.write_text("")
    mend("s3://bucket", "lab")
    assert checkpoint.read_text() == ""
