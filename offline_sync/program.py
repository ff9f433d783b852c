"""The commands: `bundle CONFIG`, `verify BUNDLE`, `load CONFIG BUNDLE`, `prune CONFIG [--yes]`; `--check CONFIG`."""

from __future__ import annotations

import fcntl
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

from offline_sync.config import Config, read
from offline_sync.failure import Failure
from offline_sync.gather import gather
from offline_sync.load import load, verified
from offline_sync.prune import prune

USAGE = "usage: bundle CONFIG | verify BUNDLE | load CONFIG BUNDLE | prune CONFIG [--yes] | --check CONFIG"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One command at a time. Raises Failure where another one is at work."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure(f"{folder}: another command is at work there; wait for it") from None
        yield


def run(arguments: List[str]) -> None:
    """Raises Failure."""
    if arguments[:1] == ["--check"] and len(arguments) == 2:
        read(Path(arguments[1]))
    elif arguments[:1] == ["verify"] and len(arguments) == 2:
        verified(Path(arguments[1]), say)
    elif arguments[:1] == ["bundle"] and len(arguments) == 2:
        config = read(Path(arguments[1]))
        if not config.images:
            raise Failure("offline_sync.images is empty: there is nothing to make a bundle of")
        with alone(config.folder):
            gather(config, say)
    elif arguments[:1] == ["load"] and len(arguments) == 3:
        config = read(Path(arguments[1]))
        with alone(config.state):
            load(config, Path(arguments[2]), say)
    elif arguments[:1] == ["prune"] and arguments[2:] in ([], ["--yes"]):
        _prune(read(Path(arguments[1])), arguments[2:] == ["--yes"])
    else:
        raise Failure(USAGE)


def _prune(config: Config, really: bool) -> None:
    with alone(config.folder if config.images else config.state):
        prune(config, really, say)


def say(line: str) -> None:
    """To whoever waits, at once."""
    print(line, flush=True)


def main(arguments: List[str]) -> int:
    """Returns the exit status."""
    try:
        run(arguments)
    except (Failure, OSError) as failure:
        print(failure, file=sys.stderr, flush=True)
        return 1
    return 0
