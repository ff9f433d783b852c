"""Decides that two of the stacks in tests/lab/spare can be up at once: no test names a host of a pair itself, so each
is on the pair that its process has.
"""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from lab import host
from tests.lab.spare import site

SPARES = [host(name) for name in chain(*site.PAIRS.values(), site.THIRDS.values())]
FOLDER = Path(site.__file__).parent


def test_no_host_is_in_two_pairs() -> None:
    assert len({each.name for each in SPARES}) == len(SPARES)


@pytest.mark.parametrize("file", sorted({*FOLDER.glob("*.py")} - {Path(site.__file__)}), ids=lambda file: file.stem)
def test_only_the_site_names_them(file: Path) -> None:
    names = [re.escape(name) for each in SPARES for name in (each.name, each.address, each.ssh_address)]
    assert re.findall(rf"\b(?:{'|'.join(names)})\b", file.read_text()) == []
