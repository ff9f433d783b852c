"""From the requests that `up` would send to a host to the files that they make there, by hostctl's own units.

Nothing is checked, activated or proved: no program of the host is there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.first_boot import FirstBoot
from hostctl.homes import Account
from hostctl.nginx_conf import MAIN
from hostctl.plan import Plan, Planner
from hostctl.store import STATE_FOLDER, Record, Store
from hostctl.systemd import WANTS
from hostctl.trust_store import DEBIAN
from hostctl.units import unit_named
from ops.render_machine import FIRST_ACCOUNT, NGINX_CONF, DescribedHost, Machine

SYSTEMD = "/etc/systemd/system"
RECORDS = f"{STATE_FOLDER}/units"
LOOKED_AT = ("etc", "usr/local/share/ca-certificates", STATE_FOLDER[1:], "root/.docker", "root/.ssh")
"""What of an image its files can depend on."""
STANDARD = ("etc/systemd/system", "usr/local/lib", "root", "run", "var/cache", "var/lib")
"""Folders that every machine has."""
NOT_ON_DISK = ("docker-image",)
"""Units whose wish is in a program's own store."""
BY_THE_ADMIN = ("ssh-access",)
"""Units whose file has lines of others that no image has yet, so that ours is added to them."""
RENDERED = "rendered"
"""What stands in a record for the transaction that has made it so."""


@dataclass(frozen=True)
class Placed:
    """A file of a machine. `owner`, `group`: names, and their numbers where they are the same on every such machine.

    `unit`: whose it is. `added`: to what is there, as its last lines.
    """

    path: str
    content: bytes
    mode: int
    owner: str
    group: str
    numbers: tuple[int, int] | None
    unit: str
    added: bool = False


@dataclass(frozen=True)
class Folder:
    """One that is made for the files, where it is not there."""

    path: str
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class Rendered:
    """What a machine has of a stack. `links`: targets by path. `services`: started in this order. `commands`: run once,
    before them. `units`: those that were asked for, in their order. `containers`: names of those that Docker runs.
    `notes`: sentences for a person."""

    files: Sequence[Placed]
    folders: Sequence[Folder]
    links: Mapping[str, str]
    services: Sequence[str]
    commands: Sequence[tuple[str, ...]]
    units: Sequence[str]
    containers: Sequence[str]
    notes: Sequence[str]


def render(
    requests: Sequence[Mapping[str, Any]],
    machine: Machine,
    work: Path,
    base: Path | None = None,
    containers: Sequence[str] = (),
) -> Rendered:
    """The files of one host's requests, in their order. `base`: a folder with the image's own files; without it there
    are none. `work`: an empty folder, for as long as this takes.

    Raises HostError where a unit would refuse the machine.
    """
    host = _described(machine, work, base)
    plans: dict[str, Plan] = {}
    boots: dict[str, FirstBoot] = {}
    folders: dict[str, Folder] = {}
    notes: list[str] = []
    for request in requests:
        name = request["unit"]
        if name in NOT_ON_DISK:
            continue
        unit = unit_named(name)
        plan = Planner(host, unit, Store(host).record(name)).apply(request["wish"])
        assert plan.record is not None
        folders.update((each, _folder(host, each)) for each in plan.record.folders)
        for path in plan.change.changed:
            host.write(path, plan.change.after[path])
        record = _of_a_machine(host, plan.record, request["owner"])
        Store(host).keep(name, record)
        plans[name], boots[name] = plan._replace(record=record), unit.first_boot(plan.change)
        notes += [*unit.notes, *plan.notes]
        if base is None:
            merged = [path for path, owned in plan.record.files.items() if owned.ours is not None]
            notes += [
                f"{path}: has our keys alone; where the image has one, say BASE=folder with it" for path in merged
            ]
    files = [placed for name, plan in plans.items() for placed in _placed(host, name, plan)]
    _refuse_made_up_numbers(host, files)
    services = list(dict.fromkeys(service for boot in boots.values() for service in boot.services))
    folders.update((each, Folder(each)) for boot in boots.values() for each in boot.folders)
    if plans:
        folders.update((each, Folder(each, 0o700)) for each in (STATE_FOLDER, RECORDS))
    ours = {each.path for each in files}
    return Rendered(
        files,
        sorted(folders.values(), key=lambda each: each.path),
        {f"{WANTS}/{each}": f"{SYSTEMD}/{each}" for each in services if f"{SYSTEMD}/{each}" in ours},
        services,
        list(dict.fromkeys(command for boot in boots.values() for command in boot.commands)),
        list(dict.fromkeys(request["unit"] for request in requests)),
        containers,
        list(dict.fromkeys(notes)),
    )


def _described(machine: Machine, work: Path, base: Path | None) -> DescribedHost:
    for each in LOOKED_AT:
        if base and (base / each).is_dir():
            shutil.copytree(base / each, work / each, symlinks=True, ignore_dangling_symlinks=True, dirs_exist_ok=True)
    for each in STANDARD:
        (work / each).mkdir(parents=True, exist_ok=True)
    host = DescribedHost(work, machine)
    main = host.path(MAIN)
    if not main.exists():
        main.parent.mkdir(parents=True, exist_ok=True)
        main.write_text(NGINX_CONF)
    if base is None:
        host.path(DEBIAN.mark).mkdir(parents=True)
    host.groups.update((name, int(row[2])) for name, row in _rows(work, "group").items())
    host.accounts.update(
        (name, Account(name, int(row[2]), int(row[3]), row[5])) for name, row in _rows(work, "passwd").items()
    )
    return host


def _rows(work: Path, file: str) -> dict[str, list[str]]:
    """passwd(5) and group(5), by the first field."""
    path = work / "etc" / file
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return {row[0]: row for row in (line.split(":") for line in lines) if len(row) > 3 and row[2].isdigit()}


def _placed(host: DescribedHost, name: str, plan: Plan) -> Iterable[Placed]:
    assert plan.record is not None
    for path in plan.record.files:
        state = host.written.get(path) or host.read(path)
        assert state is not None
        yield _at(host, path, state, name)
    yield _at(host, f"{RECORDS}/{name}.json", _record_file(host, name), name)


def _at(host: DescribedHost, path: str, state: FileState, unit: str) -> Placed:
    owner, group = host.owner(state)
    numbers = (state.uid, state.gid) if _has_numbers(state) else None
    return Placed(_absolute(host, path), state.content, state.mode, owner, group, numbers, unit, _is_added(path, unit))


def _is_added(path: str, unit: str) -> bool:
    return unit in BY_THE_ADMIN and not path.startswith(STATE_FOLDER)


def _record_file(host: DescribedHost, name: str) -> FileState:
    return FileState(host.path(f"{RECORDS}/{name}.json").read_bytes(), 0o600)


def _absolute(host: DescribedHost, name: str) -> str:
    """The path of a file that hostctl calls `~account/…`."""
    if not name.startswith("~"):
        return name
    account, _, rest = name[1:].partition("/")
    return f"{host.account(account).home}/{rest}"


def _folder(host: DescribedHost, name: str) -> Folder:
    """As hostctl makes it: one in a home is its account's alone."""
    if not name.startswith("~"):
        return Folder(name)
    account = host.account(name[1:].partition("/")[0])
    group = next((each for each, number in host.groups.items() if number == account.gid), account.name)
    return Folder(_absolute(host, name), 0o700, account.name, group)


def _of_a_machine(host: DescribedHost, record: Record, owner: str) -> Record:
    """The record as it is on whatever machine gets the files; where only that knows an owner's number, without it."""
    known = {path: state for path in record.files if (state := host.read(path)) and _has_numbers(state)}
    files = {path: owned if path in known else owned._replace(rights=None) for path, owned in record.files.items()}
    return record._replace(files=files, owner=owner, transaction=RENDERED, facts=_timeless(record.facts))


def _has_numbers(state: FileState) -> bool:
    return max(state.uid, state.gid) < FIRST_ACCOUNT


def _timeless(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Without the moment at which a file has begun to say something: whoever boots with it reads it."""
    return {**facts, "boot": "", "since": 0} if "since" in facts else dict(facts)


def _refuse_made_up_numbers(host: DescribedHost, files: Iterable[Placed]) -> None:
    """Raise HostError where a file would name a number that only the image knows."""
    names = {str(number).encode(): name for name, number in host.groups.items() if number >= FIRST_ACCOUNT}
    for each in files:
        for number, name in names.items():
            if number in each.content:
                raise HostError(
                    f"{each.path}: has the number of the group {name}, which its package chooses; say BASE=folder with "
                    "the image's own etc/group and etc/passwd"
                )
