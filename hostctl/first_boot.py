"""What a machine needs besides a unit's files, where they are in its image and it boots with them."""

from __future__ import annotations

from typing import NamedTuple, Tuple


class FirstBoot(NamedTuple):
    """`services`: systemd's units that live by the files, in the order in which they are started; those whose own files
    are ours are enabled as well. `folders`: what has to be there before. `commands`: what makes the files count.
    """

    services: Tuple[str, ...] = ()
    folders: Tuple[str, ...] = ()
    commands: Tuple[Tuple[str, ...], ...] = ()
