"""A checkout whose stacks have settings and outputs, and no resources: for those that read them, where no host is."""

from __future__ import annotations

from tests.checkout import Checkout

PROGRAM = """
from pathlib import Path

from components.configuration import load
from components.outputs import Documents, export, outputs_of

export(outputs_of(load(Path.cwd()), Documents()))
"""


def only_outputs(checkout: Checkout) -> None:
    """Make it one."""
    program = checkout.folder / "__main__.py"
    program.unlink()
    program.write_text(PROGRAM)
