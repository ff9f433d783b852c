"""`make backup`: a stack's state, its own files and its registries' data, copied into a folder.

Registries go on taking pushes meanwhile; a second backup into the same folder fetches only the blobs that are new.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from ops import backup_folder
from ops.backup_folder import lacking, locked, some, write
from ops.backup_snapshot import Snapshot
from ops.certificates import folder_of
from ops.configuration import tier_of
from ops.progress import Counted, Progress
from ops.registry_data import Place, data_of, say
from ops.stack import PROJECT, Stack, StackError
from ops.stack_file import plain_settings
from ops.volume_files import receive
from settings.registries import HostedRegistry

ROUNDS = 3
"""How often a registry is looked at where something lacks."""


@dataclass(frozen=True)
class Fetched:
    """A registry's snapshot, all of whose blobs are in the folder."""

    snapshot: Snapshot
    new: list[str]
    broken: list[str]
    """Blobs that can't be had whole: they and the links to them are left out."""
    incomplete: list[str]
    """Images that lack a part, in the registry as here."""


def back_up(stack: Stack, to: Path, keep: int | None = None) -> None:
    """Make a backup below `to`; of older ones there `keep` - 1 stay, all if None. Prints what it does.

    Raises StackError where it can't be made, or lacks blobs that are broken in the registry.
    """
    if to.exists() and not to.is_dir():
        raise StackError(f"TO={to}: is no folder")
    tier = tier_of(stack.name)
    folder = to / stack.name
    hosted = [each for each in tier.registries if isinstance(each, HostedRegistry)]
    with locked(folder):
        fetched = {}
        for each in hosted:
            fetched[each.name] = got = fetch(data_of(stack, tier, each), folder)
            say(_line(each.name, got))
        state = stack.pulumi("stack", "export", quiet=True)
        snapshots = {name: each.snapshot for name, each in fetched.items()}
        made = write(folder, stack.name, state, files_of(stack.name), snapshots, datetime.now(UTC))
        say(f"backup: {made}")
        if keep is not None:
            gone, freed = backup_folder.keep(folder, keep)
            say(f"removed {len(gone)} older backups, {freed} bytes of blobs")
    archive = f", {tier.image.archive}" if tier.image.archive else ""
    say(f"not in it: the passphrase (or what else opens the stack's secrets), your own SSH key{archive}")
    if broken := [path for each in fetched.values() for path in each.broken]:
        raise StackError(
            f"{made}: is whole but for {len(broken)} blobs, which have another content in the registry than their "
            f"names say: {some(broken)}; push the images that need them again"
        )


def fetch(place: Place, folder: Path) -> Fetched:
    """Bring what is new of a registry into the folder.

    What was removed between the listing and the copy shows as a part that lacks, so everything is looked at again then.
    Raises StackError where host or disk fails; blobs that have come by then stay.
    """
    new: list[str] = []
    for _ in range(ROUNDS):
        listing = place.listing()
        snapshot = Snapshot.of(listing)
        wanted = lacking(folder, snapshot.blobs)
        if wanted:
            progress = Progress(place.volume, sum(snapshot.blobs[path] for path in wanted))
            _receive(place, folder, wanted, progress)
        broken = lacking(folder, snapshot.blobs)
        new += sorted(set(wanted) - set(broken))
        if broken:
            snapshot = Snapshot.of({path: what for path, what in listing.items() if path not in broken})
        incomplete = snapshot.lacking(lambda path: (folder / path).read_bytes())
        if not broken and not incomplete:
            break
    return Fetched(snapshot, new, broken, incomplete)


def files_of(stack: str, project: Path = PROJECT) -> dict[str, bytes]:
    """A stack's file, its certificates, and every other file that its settings name, by their paths in the project.

    The image's archive is left out: it is not the stack's own.
    """
    settings = plain_settings(stack)
    settings.get("image", {}).pop("archive", None)
    named = {f"stacks/Pulumi.{stack}.yaml", *_texts(settings)}
    named |= {path.relative_to(project).as_posix() for path in (project / folder_of(stack)).rglob("*")}
    inside = [each for each in named if each and not each.startswith("/") and ".." not in each.split("/")]
    return {each: (project / each).read_bytes() for each in sorted(inside) if _is_file(project / each)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a text that is too long for a path
        return False


def _receive(place: Place, folder: Path, paths: list[str], progress: Progress) -> None:
    sender = place.sender(paths)
    assert sender.stdout is not None
    full = ""
    try:
        with sender.stdout:
            receive(folder, cast(IO[bytes], Counted(sender.stdout, progress)), owners=False)
    except OSError as failure:
        full = failure.strerror or ""
    except tarfile.TarError:
        pass  # the sender has ended early, and says why
    if full:
        with suppress(StackError):
            place.ended(sender)
        raise StackError(f"{folder}: {full}; the blobs that have come so far stay there")
    place.ended(sender)


def _line(name: str, got: Fetched) -> str:
    size = sum(got.snapshot.blobs[path] for path in got.new if path in got.snapshot.blobs)
    line = (
        f"{name}: {len(got.snapshot.images)} manifests, {len(got.snapshot.blobs)} blobs with {got.snapshot.size} "
        f"bytes; new are {len(got.new)} blobs with {size} bytes"
    )
    if got.incomplete:
        line += f"; lacking a part in the registry itself: {some(got.incomplete)}"
    return line
