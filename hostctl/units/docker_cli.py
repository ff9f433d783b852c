"""`docker-cli`: logins and credential helpers in ~/.docker/config.json of accounts of the host.

docker, buildx, skopeo and others read that file at each call, so nothing has to be activated. What is done in a home
is done with the rights of its account (hostctl.homes).
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from hostctl import docker_cli_config, wishes
from hostctl.difference import Difference
from hostctl.docker_cli_config import Login, Wanted, key_of
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.foresight import Foresight
from hostctl.homes import Account
from hostctl.host import Host
from hostctl.masking import masked
from hostctl.store import Store
from hostctl.unit import NONE, Change, OwnFile, SharedFile, Unit, Wish

CONFIG = ".docker/config.json"
HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
SERVER = re.compile(r"[!-~]+")
COMPLAINT = re.compile(r"Error \w+ config file")
"""What docker says about a config.json that it can't read; it goes on without its logins."""
PACKAGES = {
    "ecr-login": "amazon-ecr-credential-helper",
    "pass": "golang-docker-credential-helpers",
    "secretservice": "golang-docker-credential-helpers",
}
"""Debian's packages of helpers."""


def name_of(user: str) -> str:
    """The file of an account, as reports name it."""
    return f"~{user}/{CONFIG}"


class _ConfigJson(SharedFile):
    def __init__(self, owner: Account, wanted: Wanted, notes: List[str]) -> None:
        self.path = name_of(owner.name)
        self.owner = owner
        self.wanted = wanted
        self.notes = notes

    def merge(self, base: Optional[bytes]) -> Tuple[bytes, Dict[str, Any]]:
        text, ours, notes = docker_cli_config.merge(self.path, base, self.wanted)
        self.notes += notes
        return text, ours

    def state(self, there: Optional[FileState]) -> FileState:
        """The account's own; no longer for others' eyes where a login of ours is in it."""
        if there is None:
            return FileState(b"", 0o600, self.owner.uid, self.owner.gid)
        return there._replace(mode=there.mode & ~0o077) if self.wanted.logins else there


class DockerCli(Unit):
    """Wish: `users`, a list of: `user` (an account of the host), `auths` (`user` and `password` by server), `store`
    (the helper for every server, or null), `helpers` (helper by server).
    """

    name = "docker-cli"

    def preflight(self, host: Host, wish: Wish) -> None:
        """Every account is there, its file is its own, and the helpers can be run."""
        files: Dict[Path, str] = {}
        for user, wanted in _users(wish).items():
            owner = host.account(user)
            _refuse_place(host, owner)
            real = host.path(name_of(user))
            if real in files:
                raise HostError(
                    f"{real}: is the file of {files[real]} and of {user}; take one of them out of the stack"
                )
            files[real] = user
            for helper in sorted({*wanted.helpers.values(), *([wanted.store] if wanted.store else [])}):
                _refuse_missing(host, helper)

    def own_files(self, host: Host, wish: Wish) -> List[OwnFile]:
        """None is ours alone."""
        return []

    def shared_files(self, host: Host, wish: Wish) -> List[SharedFile]:
        """The config.json of each account."""
        return [_ConfigJson(host.account(user), wanted, self.notes) for user, wanted in _users(wish).items()]

    def unmerge(self, path: str, current: bytes, ours: Dict[str, Any]) -> Tuple[Optional[bytes], List[str]]:
        """Our logins and helpers out of an account's file."""
        return docker_cli_config.unmerge(path, current, ours)

    def drift(self, path: str, current: bytes, ours: Dict[str, Any]) -> List[Difference]:
        """Our logins and helpers that are others by now."""
        return docker_cli_config.drift(path, current, ours)

    def check(self, host: Host, change: Change, candidates: Mapping[str, Path]) -> None:
        """Where docker is installed, it reads the candidate, as the account: the file may name programs to run."""
        if change.wish is None or not (host.has("docker") and host.has("setpriv")):
            return
        for path, candidate in candidates.items():
            with host.rights(path):
                folder = Path(tempfile.mkdtemp(dir=host.path("/tmp")))  # noqa: S108
                (folder / "config.json").symlink_to(candidate)
            try:
                owner = host.account(path[1:].partition("/")[0])
                done = host.run(*owner.prefix, "docker", "--config", str(folder), "context", "ls")
            finally:
                with host.rights(path):
                    shutil.rmtree(folder, ignore_errors=True)
            if COMPLAINT.search(done.output):
                said = masked(done.tail(5)).replace(f"{folder}/config.json", path)
                raise HostError(f"{path}: docker would not read it: {said}")

    def activation(self, host: Host, change: Change) -> str:
        """NONE: the file is read at each call."""
        return NONE

    def foresee(self, change: Change, known: Mapping[str, Any]) -> Foresight:
        """NONE."""
        return Foresight((NONE,), "nothing is restarted: config.json is read at each call of docker")

    def activate(self, host: Host, change: Change, level: str) -> None:
        """Nothing to do."""

    def verify(self, host: Host, change: Change, patience: float) -> None:
        """Each account can read its file, and docker's way of reading finds what was wished."""
        for path, state in change.after.items():
            if host.read(path) != state:
                raise HostError(f"{path}: does not hold what was written there; somebody else writes it too")
        for user, wanted in _users(change.wish or {}).items():
            text = change.text(name_of(user)) or b""
            for server, meant in (*wanted.logins.items(), *wanted.helpers.items()):
                if docker_cli_config.answer(name_of(user), text, server) != meant:
                    raise HostError(f"{name_of(user)}: docker would not go by what is wished for {server}")

    def observe(self, host: Host) -> Dict[str, str]:
        """The files that we have a part in."""
        record = Store(host).record(self.name)
        paths = [path for path in record.files if not host.is_gone(path)] if record else []
        texts = {path: host.read(path) for path in paths}
        return {path: docker_cli_config.shown(path, state.content) for path, state in texts.items() if state}


def _users(wish: Wish) -> Dict[str, Wanted]:
    """What is wished, by account."""
    found: Dict[str, Wanted] = {}
    users = wish.get("users") or []
    if not isinstance(users, list) or not all(isinstance(each, dict) for each in users):
        raise HostError("wish, users: must be a list of objects")
    for each in users:
        user = wishes.text(each, "user")
        if user in found or "/" in user:
            raise HostError(f"wish, users: {user} must be the name of an account, and be there once")
        found[user] = _wanted(each, f"wish, {user}")
    return found


def _wanted(each: Wish, where: str) -> Wanted:
    auths = each.get("auths") or {}
    if not isinstance(auths, dict) or not all(isinstance(login, dict) for login in auths.values()):
        raise HostError(f"{where}, auths: must be objects by server")
    logins = {
        server: Login(wishes.text(login, "user"), wishes.text(login, "password")) for server, login in auths.items()
    }
    helpers = wishes.pairs(each, "helpers")
    store = wishes.text(each, "store") if each.get("store") is not None else None
    keys = [key_of(server) for server in (*logins, *helpers)]
    for server in (*logins, *helpers):
        if not SERVER.fullmatch(server) or keys.count(key_of(server)) > 1:
            raise HostError(f"{where}: {server} must be the name of a server, with one login or one helper")
    for server, login in logins.items():
        if ":" in login.user or "\0" in login.user + login.password:
            raise HostError(f"{where}, {server}: a user can't have a colon, nor user and password a NUL")
    for helper in (*helpers.values(), *([store] if store else [])):
        if not HELPER.fullmatch(helper):
            raise HostError(f"{where}: {helper} must be a helper's name without docker-credential-, such as ecr-login")
    return Wanted(logins, store, helpers)


def _refuse_place(host: Host, owner: Account) -> None:
    """Refuse a home that is not there, and a file or folder that is not the account's; all seen with its rights."""
    name = name_of(owner.name)
    with host.rights(name):
        home, real = host.path(f"~{owner.name}/"), host.path(name)
        if not home.is_dir():
            raise HostError(f"{owner.home}: the home of {owner.name} is not there; create it ('mkhomedir_helper')")
        for each in (real.parent, real):
            try:
                status = each.stat()
            except FileNotFoundError:
                continue
            if os.getuid() == 0 and status.st_uid != owner.uid:
                raise HostError(f"{each}: is not {owner.name}'s own; 'chown {owner.name}: {each}', if it should be")
            if each == real and os.getuid() == 0 and status.st_gid not in os.getgrouplist(owner.name, owner.gid):
                raise HostError(f"{each}: has a group that {owner.name} is not in; 'chgrp {owner.gid} {each}'")
            if each == real and not stat.S_ISREG(status.st_mode):
                raise HostError(f"{each}: is not a file; move it away and try again")
        if not real.parent.exists() and not os.access(home, os.W_OK, effective_ids=True):
            raise HostError(
                f"{home}: {owner.name} can't write there; make the folder for it: "
                f"'install -d -m 700 -o {owner.name} {real.parent}'"
            )


def _refuse_missing(host: Host, helper: str) -> None:
    program = f"docker-credential-{helper}"
    if not host.has(program):
        package = f" (Debian: apt-get install {PACKAGES[helper]})" if helper in PACKAGES else ""
        raise HostError(f"{program}: not on this host's PATH; install it{package}, or take it out of the stack")
