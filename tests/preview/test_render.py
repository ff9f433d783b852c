"""Decides what `make render` says where it can't render; that it can, of each file under stacks/: test_tiers.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checkout import checkout
from tests.tier_file import text_of

pytestmark = pytest.mark.engine


def test_a_host_that_there_is_not_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    mine = checkout(tmp_path)
    mine.write("dev", text_of("dev"))
    said = mine.make("render", STACK="dev", HOST="web", status=1)
    assert "HOST=web: the stack dev has no host of that name; it has dev" in said
    assert "Traceback" not in said


def test_a_missing_secret_is_told_with_the_command_that_sets_it(tmp_path: Path) -> None:
    mine = checkout(tmp_path)
    mine.write("staging", text_of("staging"))
    said = mine.make("render", STACK="staging", HOST="registry", status=1)
    assert "is required; set it with 'pulumi config set --secret" in said
    assert "still to set: make secret STACK=staging KEY=" in said
    assert not (mine.folder / ".work/render").exists()
