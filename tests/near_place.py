"""A registry's place on a host that is this machine: `ssh` and `docker` are stand-ins, what they run is real."""

from __future__ import annotations

import os
from pathlib import Path

from ops.registry_data import Place
from ops.stack import Stack
from settings.tier import Host

SSH = '#!/bin/sh\nfor command in "$@"; do :; done\nexec sh -c "$command"\n'
DOCKER = '#!/bin/sh\nfor name in "$@"; do :; done\necho "$VOLUMES/$name"\n'


def stand_ins(folder: Path) -> Stack:
    """A stack whose hosts are all this machine; Docker's volumes are in the folder."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name, text in (("ssh", SSH), ("docker", DOCKER)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return Stack("s", {"PATH": f"{programs}:{os.environ['PATH']}", "VOLUMES": str(folder)})


def near_volume(folder: Path, name: str) -> Place:
    """The volume of that name in the folder."""
    (folder / name).mkdir(exist_ok=True)
    return Place(stand_ins(folder), Host(name="near", address="192.0.2.1"), folder / "known_hosts", name)
