"""Decides that reading the hosts of the lab's stack, of every kind of runtime, gives back the stack's own settings.

What the stack has written there is understood again, by the programs that read it: Docker 20.10 and 29, containerd 1.6
and 2.4. Nothing is changed.
"""

from __future__ import annotations

import pytest
import yaml

from lab.process import run
from ops.stack import LAB, PROJECT, Stack
from ops.stack_file import plain_settings
from tests.lab.hosts import HOSTS

pytestmark = pytest.mark.lab


def test_the_stack_is_proposed_as_it_is(stack: Stack) -> None:
    assert stack.name == LAB
    command = ["make", "--no-print-directory", "adopt", f"HOST={' '.join(HOSTS)}", f"STACK={LAB}"]
    printed = run(command, what="adopting the lab's hosts", cwd=PROJECT)
    config = yaml.safe_load(printed)["config"]
    found = {key.partition(":")[2]: each for key, each in config.items() if "secure" not in each}
    assert found == plain_settings(LAB)
    assert "# What" not in printed, printed
