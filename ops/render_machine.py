"""A machine that is only described: which programs it has in which version, what its kernel offers, its accounts.

hostctl's units ask it as they ask a host (`DescribedHost`), and are answered in the words of the real programs.
"""

# ruff: noqa: ARG002 - the interface has the argument, this implementation no use for it

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, fields, replace
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any

from hostctl import docker_engine
from hostctl.errors import HostError
from hostctl.files import FileState
from hostctl.homes import Account
from hostctl.host import Finished, Host

NOBODY = 2**22 + 1
"""A process id that the kernel never gives: services run, and what their processes were started with is not known."""
FIRST_ACCOUNT = 2**20
"""The numbers of accounts and groups that only a package or somebody's own command makes; they stay in here."""
VERSION = re.compile(r"\d+(\.\d+)+(-dev)?")
DEBIANS = (Account("root", 0, 0, "/root"), Account("www-data", 33, 33, "/var/www"))
"""Those of each Debian, of which a unit may want one (base-passwd)."""
NGINX_CONF = "user www-data;\nhttp {\n    include /etc/nginx/conf.d/*.conf;\n}\n"
"""What of Debian's main file counts here, for where the image's own is not given."""


@dataclass(frozen=True)
class Machine:
    """What is said with ON=name=value,…; the defaults are Debian 12's.

    `docker`, `containerd`, `nginx`: versions. `store`: where Docker has its images, `containerd` or `graph`; empty: as
    that version has it on a new machine. `firewall`: `iptables` or `nft`. `interface`: what has the host's address;
    only a floating address needs to know. `ipv6`, `open_files` (nginx's workers may have 16384), `ktls` (the kernel
    encrypts what nginx sends): yes or no.
    """

    docker: str = "20.10.24"
    containerd: str = "1.6.20"
    nginx: str = "1.22.1"
    store: str = ""
    firewall: str = "iptables"
    interface: str = ""
    ipv6: bool = True
    open_files: bool = True
    ktls: bool = False

    @property
    def in_containerd(self) -> bool:
        """Whether Docker's images are in containerd's store, as on new machines from 29 on."""
        return self.store == "containerd" if self.store else docker_engine.known(self.docker).version[0] >= 29

    def differs(self, name: str) -> bool:
        """Whether a program is not the one that Debian 12 has."""
        return bool(getattr(self, name) != getattr(Machine(), name))


CHOICES: Mapping[str, tuple[str, ...]] = {"store": ("containerd", "graph"), "firewall": ("iptables", "nft")}


def machine(said: str) -> Machine:
    """Read what ON says. Raises ValueError that lists all that is wrong with it."""
    known = {each.name: each.type for each in fields(Machine)}
    values: dict[str, Any] = {}
    wrong = []
    for part in filter(None, said.split(",")):
        name, _, value = part.partition("=")
        choices = ("yes", "no") if known.get(name) == "bool" else CHOICES.get(name)
        if name not in known or not value:
            wrong.append(f"{part}: must be NAME=VALUE, with a name out of {', '.join(known)}")
        elif choices and value not in choices:
            wrong.append(f"{part}: must be {' or '.join(choices)}")
        elif choices is None and name != "interface" and not VERSION.fullmatch(value):
            wrong.append(f"{part}: must be a version, such as 1.6.20")
        else:
            values[name] = value == "yes" if known[name] == "bool" else value
    if wrong:
        raise ValueError(f"ON={said}: {'; '.join(wrong)}")
    return replace(Machine(), **values)


@dataclass(frozen=True)
class DescribedHost(Host):
    """`root`: a folder that has the image's own files, and then ours. `written`: ours, with owners that are numbers of
    `accounts` and `groups`."""

    root: Path = Path("/")
    machine: Machine = Machine()
    written: dict[str, FileState] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=lambda: {each.name: each for each in DEBIANS})
    groups: dict[str, int] = field(default_factory=lambda: {each.name: each.gid for each in DEBIANS})

    def path(self, name: str) -> Path:
        """Below the root, homes of accounts too."""
        if name.startswith("~"):
            account, _, rest = name[1:].partition("/")
            name = f"{self.account(account).home}/{rest}"
        return super().path(name)

    def rights(self, name: str) -> Any:
        """Whoever renders has them."""
        return nullcontext()

    def read(self, name: str) -> FileState | None:
        """What we have put there, with the owner that it will have; else what the image has, taken for root's."""
        if name in self.written:
            return self.written[name]
        there = super().read(name)
        return there and there._replace(uid=0, gid=0)

    def write(self, name: str, state: FileState | None) -> None:
        """Put a file there, for whoever reads it later on."""
        path = self.path(name)
        path.unlink(missing_ok=True)
        self.written.pop(name, None)
        if state is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(state.content)
            self.written[name] = state

    def account(self, name: str) -> Account:
        """As the image has it; else a new one, whose home is where useradd puts it."""
        if name not in self.accounts:
            made = FIRST_ACCOUNT + len(self.accounts)
            self.accounts[name] = Account(name, made, self.group(name), f"/home/{name}")
        return self.accounts[name]

    def group(self, name: str) -> int:
        """As the image has it; else a new one."""
        return self.groups.setdefault(name, FIRST_ACCOUNT + len(self.groups))

    def owner(self, state: FileState) -> tuple[str, str]:
        """The names of a file's account and group."""
        account = next((each.name for each in self.accounts.values() if each.uid == state.uid), str(state.uid))
        return account, next((name for name, number in self.groups.items() if number == state.gid), str(state.gid))

    def has(self, program: str) -> bool:
        """All that a unit may need; of the firewalls, the one that is described."""
        firewall = {"nft": "nft", "iptables-restore": "iptables"}.get(program, self.machine.firewall)
        return firewall == self.machine.firewall and program != "sshd"

    def offers(self, what: str, ask: Callable[[], bool]) -> bool:
        """As it is described."""
        return bool(getattr(self.machine, what))

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> Finished:
        """What the programs say that units ask before they write a file. Raises HostError for any other."""
        match command:
            case ["systemctl", "show", "-p", properties, *_] if not properties.startswith("LoadState"):
                return Finished(0, "")
            case ["systemctl", "show", *_]:
                return Finished(0, f"LoadState=loaded\nActiveState=active\nMainPID={NOBODY}\n")
            case ["systemctl", "is-enabled", _]:
                return Finished(0, "enabled\n")
            case ["containerd", "--version"]:
                return Finished(0, f"containerd containerd.io {_whole(self.machine.containerd)} described\n")
            case ["nginx", "-V"]:
                return Finished(0, _built(self.machine.nginx))
            case ["ip", "-o", "address", "show", "to", address]:
                name = self.machine.interface
                return Finished(0, f"2: {name}    inet {address}\n" if name else "")
        raise HostError(f"{' '.join(command)}: a machine that is only described can't answer that")

    def connect(self, socket: str, timeout: float) -> HTTPConnection:
        """Its Docker, which tells about itself."""
        store = [docker_engine.STORE] if self.machine.in_containerd else []
        return _Told({"ServerVersion": self.machine.docker, "DriverStatus": store})


class _Told(HTTPConnection):
    """Answers each request with the same JSON."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        super().__init__("localhost")
        self.said = json.dumps(said).encode()

    def request(self, *_: Any, **__: Any) -> None:
        """Nobody is asked."""

    def getresponse(self) -> Any:
        """The answer."""
        body = BytesIO(self.said)
        body.status = 200  # type: ignore[attr-defined]
        return body


def _whole(version: str) -> str:
    return ".".join([*version.split("."), "0", "0"][:3])


def _built(version: str) -> str:
    modules = " ".join(f"--with-http_{each}_module" for each in ("ssl", "auth_request", "slice"))
    lines = (
        f"nginx version: nginx/{_whole(version)}",
        "built with OpenSSL 3.0.9",
        f"arguments: --with-threads {modules}",
    )
    return "\n".join(lines)
