"""`make restore`: what a backup holds, put back: the stack's files, its state, its registries' data.

The backup is checked before anything is touched. What is there already and says something else (a file, the state, a
tag) is kept, and told, unless it is to be overwritten. Nothing is removed from a registry.
"""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from ops.backup_folder import Backup, checked, found, some
from ops.backup_snapshot import Snapshot, tag_of
from ops.configuration import tier_of, write_known_hosts
from ops.deployment import hosts_of, resources_of
from ops.diagnosis import SSH_FAILED, remedy
from ops.forget import forget
from ops.progress import Counted, Progress
from ops.registry_data import SETTLE, Place, data_of, hold, release, say
from ops.reinstalled import RECORDS
from ops.ssh import on_host
from ops.ssh_key import usable
from ops.stack import PROJECT, Stack, StackError, selected
from settings.registries import HostedRegistry
from settings.tier import Tier

KEEPING = "another than the backup's is there and stays; YES=1 puts the backup's back"


def restore(name: str, source: Path, *, overwrite: bool = False, only_check: bool = False) -> None:
    """Put a backup of the stack of that name back; `source`: the folder of one, or of all (the newest is taken).

    Prints what it does, and what to do next. Raises StackError where the backup is not whole, and nothing is touched
    then; or where a host can't be asked, after the others had theirs: the same command goes on.
    """
    backup = checked(found(source, name), name)
    blobs = {path: size for each in backup.snapshots.values() for path, size in each.blobs.items()}
    size = sum(blobs.values())
    say(f"{backup.folder}: whole, {len(backup.names)} files, the state, {len(blobs)} blobs with {size} bytes")
    if only_check:
        return
    for line in put_files(backup, PROJECT, overwrite=overwrite):
        say(line)
    with selected(name) as stack:
        _put_state(stack, backup, overwrite)
        with usable(stack):
            tier = tier_of(name)
            silent = _forget_what_new_hosts_lack(stack, tier)
            failed = _put_data(stack, tier, backup, overwrite, silent)
    if silent or failed:
        raise StackError("not all is back (see above); when that is mended, the same command goes on")
    say(f"next: make preview STACK={name}, make up STACK={name}")


def put_files(backup: Backup, project: Path, *, overwrite: bool) -> list[str]:
    """Write the stack's files; returns a line for each that is not as it was."""
    lines = []
    for path, content in backup.files().items():
        file = project / path
        now = file.read_bytes() if file.exists() else None
        if now == content:
            continue
        if now is not None and not overwrite:
            lines.append(f"{path}: {KEEPING}")
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        lines.append(f"{path}: put back")
    return lines


def _put_state(stack: Stack, backup: Backup, overwrite: bool) -> None:
    then, now = backup.state, stack.state()
    count = len(resources_of(then["deployment"]))
    if resources_of(then["deployment"]) == resources_of(now["deployment"]):
        say("state: is the backup's")
    elif resources_of(now["deployment"]) and not overwrite:
        say(f"state: {KEEPING}")
    else:
        stack.import_state(then)
        say(f"state: {count} resources put back")


def _forget_what_new_hosts_lack(stack: Stack, tier: Tier) -> set[str]:
    """Drop from the state what was on hosts that are empty now, for `up` to make it. Returns the silent hosts."""
    known_hosts = write_known_hosts(stack.name)
    known, silent = hosts_of(stack.state()["deployment"]), set()
    needed = {each.host for each in tier.registries if isinstance(each, HostedRegistry)}
    for host in tier.hosts:
        if host.name not in known and host.name not in needed:
            continue
        done = on_host(stack, host, known_hosts, f"! [ -e {RECORDS} ]")
        if done.returncode == SSH_FAILED:
            say(remedy(stack.name, host.name, done.stderr))
            silent.add(host.name)
        elif done.returncode == 0 and host.name in known:
            forget(stack, host.name)
            say(f"{host.name}: is empty, so the state forgets what was there; 'make up' makes it again")
    return silent


def _put_data(stack: Stack, tier: Tier, backup: Backup, overwrite: bool, silent: set[str]) -> bool:
    """Returns whether a registry failed."""
    hosted = {each.name: each for each in tier.registries if isinstance(each, HostedRegistry)}
    failed = False
    for name, snapshot in backup.snapshots.items():
        if name not in hosted:
            say(f"{name}: the settings have no hosted registry of this name; its images stay in the backup")
        elif hosted[name].host not in silent:
            try:
                place = data_of(stack, tier, hosted[name])
                put_registry(place, hosted[name], snapshot, backup.shared, tier=tier, overwrite=overwrite)
            except StackError as wrong:
                say(str(wrong))
                failed = True
    return failed


def put_registry(
    place: Place, registry: HostedRegistry, snapshot: Snapshot, shared: Path, *, tier: Tier, overwrite: bool
) -> None:
    """Give a registry what it lacks of the snapshot, with pushes held off where a proxy is before it."""
    place.make()
    held = tier.behind_proxy(registry)
    if held:
        hold(place, registry.name)
    try:
        if held:
            time.sleep(SETTLE)
        blobs, links, moved = snapshot.missing_in(place.listing())
        wanted = sorted([*links, *(moved if overwrite else [])])
        if blobs or wanted:
            progress = Progress(place.volume, sum(snapshot.blobs[path] for path in blobs))
            texts = {path: snapshot.links[path] for path in wanted}
            place.take(lambda out: _write_tar(out, shared, blobs, texts, progress))
    finally:
        if held:
            release(place, registry.name)
    say(f"{registry.name}: {len(blobs)} blobs and {len(wanted)} links put back of {len(snapshot.images)} manifests")
    if moved and not overwrite:
        say(f"{registry.name}: {some([tag_of(each) for each in moved])}: {KEEPING}")


def _write_tar(out: IO[bytes], shared: Path, blobs: Sequence[str], links: dict[str, str], progress: Progress) -> None:
    """Blobs first. Everything is root's, as the registry's image has it."""
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in blobs:
            with (shared / path).open("rb") as file:
                archive.addfile(_member(path, (shared / path).stat().st_size), Counted(file, progress))
        for path, digest in links.items():
            content = digest.encode()
            archive.addfile(_member(path, len(content)), io.BytesIO(content))


def _member(path: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.size, member.mode, member.mtime = size, 0o644, time.time()
    return member
