"""What a change will do to running programs, as far as that can be told before its host is asked."""

from __future__ import annotations

from typing import NamedTuple, Tuple


class Foresight(NamedTuple):
    """`levels`: each way that `Unit.activation` may choose, the gentlest first; one where the host has no say.

    That a program does not run, or had failed, is not foreseen. `text`: the same for a person.
    """

    levels: Tuple[str, ...]
    text: str
