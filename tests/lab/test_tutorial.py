"""Decides that docs/tutorial.md is true: its commands are typed on the lab, as they stand, in a checkout of their own.

The stack is the lab's own, with its state; it is destroyed first, as a newcomer has none, and is up again at the end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.stack import LAB_STATE, Stack
from tests.checkout import REAL, Checkout, checkout
from tests.console import typed
from tests.lab.hosts import must, pulumi

pytestmark = pytest.mark.lab

OURS = ("MAKE", "PULUMI_", "SSH_AUTH_SOCK", "COLUMNS")
"""What a newcomer's shell has not."""


@pytest.fixture
def newcomer(stack: Stack, tmp_path: Path) -> Iterator[Checkout]:
    """Somebody in a fresh checkout, with the lab at hand and nothing on its hosts."""
    made = checkout(tmp_path)
    shutil.copy(REAL / "stacks" / "Pulumi.lab.yaml", made.folder / "stacks")
    (made.folder / ".work" / "state").symlink_to(LAB_STATE)
    environment = {key: each for key, each in os.environ.items() if not key.startswith(OURS)}
    somebody = Checkout(made.folder, {**environment, "NO_COLOR": "1"})
    try:
        assert "deleted" in somebody.make("destroy")
        yield somebody
    finally:
        must("registry", "systemctl start nginx")  # where the tutorial has ended in the middle
        pulumi(stack, "up", "--yes", "--skip-preview")


def test_a_newcomer_s_hour(newcomer: Checkout) -> None:
    for each in typed((REAL / "docs" / "tutorial.md").read_text()):
        output = newcomer.types(each.command)
        assert each.is_seen_in(output), f"$ {each.command}\n{output[-8000:]}"
