"""Decides when a page's console block is what was really printed; tests/lab/test_tutorial.py types them."""

from __future__ import annotations

import pytest

from tests.checkout import REAL
from tests.console import Typed, typed

PAGE = """\
Text, and `$ no command`.

```console
$ make up
…
done
$ true
```

    $ not a block of these

```console
$ date
Mon …
```
"""


def test_commands_are_read_in_order_with_what_is_shown() -> None:
    assert list(typed(PAGE)) == [
        Typed("make up", ("…", "done")),
        Typed("true", ()),
        Typed("date", ("Mon …",)),
    ]


SEEN = {
    "all of it": ("a\nb", "a\nb\n", True),
    "a line more at the end": ("a", "a\nb\n", False),
    "a line less": ("a\nb", "a\n", False),
    "any lines at the end": ("a\n…", "a\nb\nc\n", True),
    "no lines there": ("a\n…", "a\n", True),
    "lines between": ("a\n…\nd", "a\nb\nc\nd\n", True),
    "another order": ("…\nb\n…\na\n…", "a\nb\n", False),
    "part of a line": ("took … s", "took 3.1 s", True),
    "not the line's end": ("took …", "it took 3.1 s", False),
    "blanks at the ends": ("a\nb", "a  \nb\n\n", True),
    "no pattern": ("a.c", "abc", False),
    "nothing": ("", "", True),
    "something where nothing is shown": ("", "error", False),
}


@pytest.mark.parametrize(("shown", "output", "seen"), SEEN.values(), ids=SEEN)
def test_what_is_shown_is_seen(shown: str, output: str, seen: bool) -> None:
    assert Typed("x", tuple(shown.splitlines())).is_seen_in(output) is seen


def test_the_tutorial_goes_the_whole_way() -> None:
    commands = " ".join(each.command for each in typed((REAL / "docs" / "tutorial.md").read_text()))
    for each in ("make up", "sed -i", "make preview", "make doctor", "make destroy"):
        assert each in commands
